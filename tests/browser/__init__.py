"""The page in a real browser; `unittest discover tests` passes it over, as it does tests/reliability."""

from tests.helpers.by_name import load_tests

__all__ = ["load_tests"]
