"""The service's own logic: ids, and that a list goes on where its page ended."""

import unittest

from taskservice.database.todolist_db import InMemoryTodoListDB
from taskservice.datamodel import TaskEntry, TaskQuery
from taskservice.service import TodoListService, new_task_id


class ServiceTest(unittest.IsolatedAsyncioTestCase):

    def test_an_id_is_a_uuid_of_version_7_and_order_by_id_is_order_of_creation(self) -> None:
        ids = [new_task_id() for _ in range(10_000)]
        self.assertEqual(ids, sorted(set(ids)))
        for task_id in ids[::100]:
            self.assertRegex(task_id, r"\A[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}\Z")

    async def test_ids_can_be_chosen(self) -> None:
        service = TodoListService(InMemoryTodoListDB(clock=lambda: 5), new_id=iter("abc").__next__)
        async with service:
            created = await service.create_task(TaskEntry("t"))
            self.assertEqual(created.tasks, (("a", 5),))
            self.assertEqual((await service.get_task("a")).entry, TaskEntry("t"))

    async def test_a_list_goes_on_where_its_page_ended(self) -> None:
        service = TodoListService(InMemoryTodoListDB(), new_id=iter("abcde").__next__)
        async with service:
            for title in "vwxyz":
                await service.create_task(TaskEntry(title))
            pages = [[task.id for task in page.tasks]
                     async for page in service.list_tasks(TaskQuery(limit=2, descending=True))]
        self.assertEqual(pages, [["e", "d"], ["c", "b"], ["a"]])
