"""The statements of pages, as text."""

import re
from itertools import product
from unittest import TestCase

from taskservice.database.sql.pages import (
    POSTGRES, SQLITE, Candidates, Dialect, page_statements)
from taskservice.database.sqlite import search_index
from taskservice.datamodel import SortKey, TaskPriority, TaskQuery, TaskSort

KEYS: dict[TaskSort, SortKey] = {
    TaskSort.CREATED: "an id", TaskSort.UPDATED: 7, TaskSort.DUE_DATE: 1.5, TaskSort.PRIORITY: 2,
    TaskSort.TITLE: "a title"}

INDEXED: list[tuple[Dialect, Candidates | None]] = [
    (SQLITE, None), (SQLITE, search_index.candidates), (POSTGRES, None),
    (POSTGRES, lambda words: [("search_text LIKE {}", f"%{word}%") for word in words])]


class ArgumentsTest(TestCase):
    def test_arguments_are_numbered_in_the_order_in_which_they_occur(self) -> None:
        """SQLite takes them in that order, whatever their numbers."""
        for sort, (dialect, candidates), words, due, priorities in product(
                TaskSort, INDEXED, ((), ("one", "two")), (None, 5.0),
                (set(), {TaskPriority.LOW, TaskPriority.NORMAL})):
            query = TaskQuery(
                sort=sort, words=words, due_before=due, priorities=frozenset(priorities),
                after=(KEYS[sort], "an id"))
            for statement, arguments in page_statements(query, dialect, candidates):
                with self.subTest(statement):
                    first_ones = list(dict.fromkeys(re.findall(r"\$(\d+)", statement)))
                    self.assertEqual(
                        first_ones, [str(number + 1) for number in range(len(arguments))])
