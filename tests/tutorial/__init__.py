"""The tutorial's commands in the tutorial's environment, which takes long; `unittest discover tests` passes it over."""

from tests.helpers.by_name import load_tests

__all__ = ["load_tests"]
