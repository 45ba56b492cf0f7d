"""What a reload compares, and logging that is set up anew."""

import logging
from dataclasses import fields, replace
from typing import Any

from taskservice.config import Config, HttpConfig, changed_keys, with_restart_keys_of
from taskservice.utils import log_config
from tests.helpers.logs import ConfigureTestCase


class ChangedKeysTest(ConfigureTestCase):

    def test_each_key_is_compared(self) -> None:
        self.assertEqual(changed_keys(Config(), Config()), [])
        after = Config("other", {"memory": None}, {"version": 1}, HttpConfig(), [{"name": "a"}])
        self.assertEqual(changed_keys(Config(), after), ["service.name", "task-db", "logging", "auth.tokens"])
        for field in fields(HttpConfig):
            other: Any = {field.name: "other"}
            after = Config(http=replace(HttpConfig(), **other))
            self.assertEqual(changed_keys(Config(), after), [f"http.{field.name.replace('_', '-')}"])

    def test_what_needs_a_restart_is_kept(self) -> None:
        before = Config(task_db={"memory": None})
        after = Config("other", {"fs": "x"}, http=HttpConfig(server="tornado", max_body=1))
        self.assertEqual(
            with_restart_keys_of(before, after), Config("other", {"memory": None}, http=HttpConfig(max_body=1)))


class LoggingTest(ConfigureTestCase):

    def section(self, name: str, **sections: Any) -> dict[str, Any]:
        """Return a section that logs to a file."""
        handler = {"class": "logging.FileHandler", "filename": str(self.folder / name)}
        return {"version": 1, "handlers": {"f": handler}, "root": {"level": "INFO", "handlers": ["f"]}, **sections}

    def test_a_logger_that_is_not_named_any_more_is_as_if_it_never_was(self) -> None:
        logger = {"level": "ERROR", "handlers": ["f"], "propagate": False}
        before = self.section("one", loggers={"configure-test": logger})
        after = self.section("two")
        log_config.configure(before)
        log_config.reconfigure(before, after)
        logging.getLogger("configure-test").info("said")
        self.assertEqual((self.folder / "two").read_text(), 'message="said"\n')
        self.assertEqual((self.folder / "one").read_text(), "")

    def test_what_is_wrong_leaves_it_as_it_was(self) -> None:
        before = self.section("one", loggers={"configure-test": {"level": "ERROR"}})
        after = self.section("none/there", loggers={"configure-test": {"level": "DEBUG"}, 5: {}})
        log_config.configure(before)
        with self.assertRaisesRegex(ValueError, "Unable to configure handler 'f'"):
            log_config.reconfigure(before, after)
        logging.getLogger("configure-test").info("not said")
        logging.getLogger("configure-test").error("said")
        self.assertEqual((self.folder / "one").read_text(), 'message="said"\n')

    def test_no_reload_empties_a_file_and_a_failed_one_leaves_the_file_in_use(self) -> None:
        for kind in ("class", "()"):
            with self.subTest(kind):
                first: dict[str, Any] = {kind: "logging.FileHandler", "filename": str(self.folder / kind), "mode": "w"}
                good = self.section("-", handlers={"f": first})
                gone = {"class": "logging.FileHandler", "filename": str(self.folder / "none" / "there")}
                log_config.configure(good)
                logging.getLogger("configure-test").info("one")
                with self.assertRaisesRegex(ValueError, "Unable to configure handler 'g'"):
                    log_config.reconfigure(good, self.section("-", handlers={"f": first, "g": gone}))
                logging.getLogger("configure-test").info("two")
                log_config.reconfigure(good, good)
                logging.getLogger("configure-test").info("three")
                lines = [f'message="{word}"' for word in ("one", "two", "three")]
                self.assertEqual((self.folder / kind).read_text().splitlines(), lines)

    def test_the_services_logger_is_never_disabled(self) -> None:
        section = self.section("one", disable_existing_loggers=True)
        log_config.configure(section)
        log_config.reconfigure(section, section)
        logging.getLogger("taskservice").info("said")
        self.assertEqual((self.folder / "one").read_text(), 'message="said"\n')
