"""Even the data must be tested to be correct: the schema, and the tasks of `data/tasks/`."""

import json
import sys
import unittest
from pathlib import Path
from typing import Any

# As a script (`python3 tests/unit/task_data_test.py`) only its own folder is on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jsonschema  # noqa: E402  # after the path, as are the project's own

import data  # noqa: E402
from taskservice import read_schema  # noqa: E402


class TaskDataTest(unittest.TestCase):

    def test_the_schema_is_one_of_draft_07(self) -> None:
        schema = read_schema("todoList-v1.0")
        self.assertEqual(schema["$schema"], "http://json-schema.org/draft-07/schema#")
        jsonschema.Draft7Validator.check_schema(schema)

    def test_the_data_conforms_to_the_schema(self) -> None:
        schema = read_schema("todoList-v1.0")
        tasks: list[dict[str, Any]] = [
            json.loads(file.read_bytes()) for file in data.task_data_suite()]
        for task in tasks:
            jsonschema.validate(task, schema, jsonschema.Draft7Validator)
            self.assertEqual(list(task), list(schema["properties"]))
        self.assertEqual(
            [task["title"] for task in tasks], ["Complete Chapter-1", "Complete Chapter-2"])


if __name__ == "__main__":
    unittest.main()
