"""The tutorial's commands in the tutorial's environment, which takes long; `unittest discover tests` passes it over."""

from tests.reliability import load_tests

__all__ = ["load_tests"]
