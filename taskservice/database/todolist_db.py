"""The contract of a store, and the two engines that need no package: memory and files."""

from taskservice.database.contract import AbstractTodoListDB
from taskservice.database.file_db import FileTodoListDB
from taskservice.database.memory_db import InMemoryTodoListDB

__all__ = ["AbstractTodoListDB", "FileTodoListDB", "InMemoryTodoListDB"]
