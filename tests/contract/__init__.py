"""The contract of an engine (`AbstractTodoListDB`), sentence by sentence, as tests for each engine.

An engine's test derives from the part that it promises and from `IsolatedAsyncioTestCase`, and
says how to `make` the engine: see `engine_contract_test.py`.
"""

from tests.contract.batches import BatchContract
from tests.contract.changes import ChangeContract
from tests.contract.concurrency import ConcurrencyContract
from tests.contract.conditions import ConditionContract
from tests.contract.harness import ManualClock, quick_folder
from tests.contract.ids import DurableIdContract, IdContract
from tests.contract.keys import KeyContract
from tests.contract.lifetime import DurableContract, HistoryContract, LifetimeContract
from tests.contract.pages import PageContract
from tests.contract.portions import PortionContract
from tests.contract.revisions import RevisionContract
from tests.contract.search_index import CutWalkContract, SearchIndexContract
from tests.contract.values import ValueContract
from tests.contract.writes import WriteContract

__all__ = [
    "CutWalkContract", "DurableEngineContract", "EngineContract", "HistoryEngineContract",
    "ManualClock", "SearchIndexContract", "quick_folder"]


class EngineContract(
    WriteContract, ConditionContract, ValueContract, RevisionContract, IdContract, BatchContract, KeyContract,
    PageContract, PortionContract, ChangeContract, ConcurrencyContract, LifetimeContract
):
    """What every engine promises."""


class DurableEngineContract(EngineContract, DurableContract, DurableIdContract):
    """What an engine promises whose tasks outlive it."""


class HistoryEngineContract(DurableEngineContract, HistoryContract):
    """What an engine promises whose changes and idempotency keys outlive it, too."""
