"""The page in a real browser; `unittest discover tests` passes it over, as it does tests/reliability."""

from tests.reliability import load_tests

__all__ = ["load_tests"]
