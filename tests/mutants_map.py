"""Which tests should notice a change in which module, for `run.py mutants`."""

from collections.abc import Mapping

TESTS: Mapping[str, str] = {
    "http1/limits": "unit/config_test.py integration/http1_limits_test.py integration/limits_test.py",
    "http1/*":
        "unit/http1*_test.py integration/http1_test.py integration/http1_[cpsrv]*_test.py"
        " integration/body_memory_test.py integration/accounts_test.py integration/tls_test.py"
        " integration/http1_l*_test.py integration/limits_test.py",
    "http/forwarded": "unit/forwarded_test.py unit/identity_test.py integration/proxies_test.py",
    "http/identity": "unit/identity_test.py integration/canonical_log_test.py integration/accounts_test.py",
    "http/access": "unit/access_test.py integration/access_test.py integration/cors_test.py",
    "http/conditions": "unit/conditions_test.py integration/conditional_requests_test.py",
    "http/fields": "unit/request_fields_test.py",
    "http/listing": "unit/listing_test.py integration/api_lists_test.py",
    "http/sse": "unit/sse_test.py integration/api_changes_test.py",
    **{f"http/{name}": f"unit/{name}_test.py" for name in (
        "dates", "etag", "merge_patch", "ndjson", "negotiation", "parameters", "problems", "representation")},
    "tornado/workers":
        "integration/workers_test.py e2e/workers_test.py e2e/signals_test.py e2e/systemd_test.py",
    "tornado/systemd": "e2e/systemd_test.py",
    "tornado/check":
        "unit/deploy_test.py integration/tls_test.py integration/postgres_examine_test.py e2e/check_config_test.py",
    "tornado/reload": "unit/reload_test.py e2e/reload_test.py",
    "tornado/vitals": "unit/metrics_test.py integration/metrics_test.py e2e/workers_test.py e2e/reload_test.py",
    "tornado/signals": "unit/signals_test.py e2e/signals_test.py e2e/drain_test.py",
    "tornado/metrics*":
        "unit/metrics*_test.py integration/workers_test.py integration/metrics_test.py e2e/workers_test.py",
    "tornado/fast":
        "unit/dispatch_test.py unit/lean_handler_test.py integration/outcome_test.py integration/requests_test.py"
        " integration/accounts_test.py",
    "tornado/outcome":
        "unit/metrics_test.py integration/outcome_test.py integration/canonical_log_test.py"
        " integration/metrics_test.py integration/accounts_test.py",
    "tornado/refusals": "unit/refusals_test.py integration/accounts_test.py",
    "tornado/tls": "integration/tls_test.py e2e/tls_test.py",
    "tornado/tornado_requests": "unit/tornado_requests_test.py integration/tornado_suites_test.py",
    "tornado/handlers/streaming":
        "integration/lists_test.py integration/outcome_test.py integration/accounts_test.py integration/limits_test.py"
        " integration/api_portions_test.py",
    "tornado/handlers/changes": "integration/api_changes_test.py integration/accounts_test.py e2e/reload_test.py",
    "tornado/handlers/*":
        "unit/tornado_app_handlers_test.py integration/*handlers_test.py integration/requests_test.py"
        " integration/heads_test.py integration/lists_test.py integration/api_*_test.py integration/access_test.py"
        " integration/conditional_requests_test.py integration/health_test.py integration/canonical_log_test.py"
        " integration/outcome_test.py integration/accounts_test.py integration/queries_test.py"
        " integration/cors_test.py integration/page_test.py integration/errors_test.py",
    "database/sqlite/checkpoints": "unit/sqlite_wal_test.py",
    "database/sqlite/engine":
        "unit/sqlite_*_test.py unit/failed_start_test.py unit/readiness_test.py unit/cancelled_reads_test.py"
        " unit/engine_*_test.py e2e/check_config_test.py",
    "database/sqlite/*":
        "unit/sqlite_*_test.py unit/failed_start_test.py unit/foreign_errors_test.py unit/readiness_test.py"
        " unit/cancelled_reads_test.py unit/engine_*_test.py",
    "database/postgres/dsn": "unit/dsn_test.py",
    "database/postgres/libpq": "unit/dsn_test.py integration/postgres_options_test.py",
    "database/postgres/errors":
        "unit/foreign_errors_test.py integration/postgres_[def]*_test.py integration/postgres_connect_test.py",
    "database/postgres/examine": "integration/postgres_examine_test.py integration/postgres_connect_test.py",
    "database/postgres/*": "unit/dsn_test.py unit/foreign_errors_test.py integration/postgres_*_test.py",
    "database/task_folder":
        "unit/todoList_db_test.py unit/fs_faults_test.py unit/readiness_test.py unit/engine_*_test.py",
    "database/read_queue":
        "unit/read_queue_test.py unit/config_test.py unit/cancelled_reads_test.py integration/queries_test.py",
    "database/expiry": "unit/history_test.py unit/batch_test.py unit/engine_contract_test.py",
    "database/metered_db":
        "unit/metered_db_test.py unit/outages_test.py unit/read_queue_test.py unit/metrics_test.py"
        " integration/metrics_test.py",
    "database/sql/group_commit":
        "unit/sqlite_db_test.py unit/batch_test.py unit/engine_*_test.py integration/metrics_test.py",
    "database/contract":
        "unit/read_queue_test.py unit/failed_start_test.py unit/engine_contract_test.py e2e/workers_test.py",
    "database/folders": "unit/folders_test.py unit/fs_faults_test.py e2e/check_config_test.py",
    "database/db_engines": "unit/db_engines_test.py",
    "database/history": "unit/history_test.py unit/batch_test.py unit/engine_*_test.py",
    "database/measurement": "unit/metrics_test.py",
    "database/os_errors": "unit/foreign_errors_test.py unit/fs_faults_test.py",
    "database/outages": "unit/outages_test.py",
    "database/revisions": "unit/todoList_db_test.py unit/batch_test.py",
    "database/sql/kept_keys": "unit/batch_test.py unit/sqlite_db_test.py",
    "database/sql/migration": "unit/sqlite_migration_test.py unit/failed_start_test.py unit/sqlite_db_test.py",
    "database/sql/pages": "unit/pages_test.py unit/sqlite_db_test.py unit/engine_*_test.py",
    "database/sql/*": "unit/batch_test.py unit/sqlite_db_test.py unit/engine_*_test.py",
    "database/*":
        "unit/*_db_test.py unit/pages_test.py unit/history_test.py unit/readiness_test.py unit/failed_start_test.py"
        " unit/fs_faults_test.py unit/engine_*_test.py",
    "changes": "unit/changes_test.py unit/config_test.py integration/api_changes_test.py",
    "service": "unit/service_*test.py integration/api_writes_test.py integration/api_retries_test.py",
    "folding": "unit/folding_test.py",
    "precondition": "unit/precondition_test.py",
    "config": "unit/config_test.py e2e/check_config_test.py",
    "config_variables": "unit/config_variables_test.py",
    "validation": "unit/validation_test.py",
    "utils/*":
        "unit/logutils_test.py unit/log_formats_test.py unit/queued_stream_test.py unit/taskcontext_test.py"
        " unit/options_test.py unit/reload_test.py integration/canonical_log_test.py e2e/check_config_test.py"
        " e2e/unread_log_test.py",
}
"""Modules, as patterns, and the tests that should notice a change in one; the first pattern that fits counts."""
