"""Decorators for mypyc; they do nothing in plain Python, so that mypy_extensions is not needed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr as mypyc_attr
else:
    def mypyc_attr(**_):
        """Return a decorator that does nothing."""
        return lambda cls: cls
