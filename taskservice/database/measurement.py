"""Measurements that an engine adds to those of its operations, which are the same for each engine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number that an engine knows at a moment; `is_counter` where it only grows.

    A counter's `name` is without the `_total` that Prometheus adds; `text` says what it is.
    """

    name: str
    text: str
    value: float
    is_counter: bool = False
