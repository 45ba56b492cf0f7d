"""What takes long: `run.py test --suite reliability` runs it in a short form, TASKSERVICE_FULL=1 at full size.

Plain `unittest discover tests` passes it over.
"""

from tests.helpers.by_name import load_tests

__all__ = ["load_tests"]
