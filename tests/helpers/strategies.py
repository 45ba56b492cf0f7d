"""Hypothesis strategies for tasks and queries, and how many examples to run.

HYPOTHESIS_PROFILE=thorough runs more examples, other ones each time.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from taskservice.datamodel import TaskEntry, TaskPriority, TaskQuery, TaskSort

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def machine_settings(examples: int = 50, steps: int = 30) -> settings:
    """Return settings for a state machine: repeatable and quick, unless asked to be thorough."""
    return settings(
        max_examples=examples * (40 if THOROUGH else 1),
        stateful_step_count=steps * (2 if THOROUGH else 1),
        derandomize=not THOROUGH,
        print_blob=THOROUGH,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck))


def property_settings(examples: int = 200) -> settings:
    """Return settings for a property, repeatable like those of the machines."""
    return machine_settings(examples)


LARGEST = 2 ** 53 - 1

texts = st.one_of(
    st.sampled_from(["a", "A", "ß", "ss", "İ", "ς", "😀", "\u2028", "p" * 210 + "a", "p" * 210,
                     "Café", "cafe\u0301", "ИЙ", "が", "한글"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12))

titles = texts.filter(bool)

due_dates: st.SearchStrategy[int | float] = st.one_of(
    st.sampled_from([0, -0.0, 0.0, 1, 1.0, 1.5, LARGEST, -LARGEST, 1e15]),
    st.integers(-LARGEST, LARGEST),
    st.floats(-LARGEST, LARGEST, allow_nan=False))

task_entries = st.builds(
    TaskEntry,
    title=titles,
    description=st.none() | texts,
    priority=st.none() | st.sampled_from(TaskPriority),
    completed=st.none() | st.booleans(),
    due_date=st.none() | due_dates)

client_ids = st.sampled_from(["a", "A", "b", "a-1", "-", "0", "zz"])

server_ids = st.integers(0, 15).map(lambda number: f"0198c0de{number:024x}")

task_ids = client_ids | server_ids

words = st.sampled_from(["a", "ss", "i", "p" * 201, "😀", "x", "cafe", "и", "か", "하"])

bounds = st.none() | st.sampled_from([-1e15, -1.0, 0.0, 1.0, 1.5, 1e15, 2.0 ** 60])


def queries(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[TaskQuery]:
    """Return queries from the beginning, some of their members drawn as given."""
    return st.builds(TaskQuery, **{
        "completed": st.none() | st.booleans(),
        "priorities": st.frozensets(st.sampled_from(TaskPriority), max_size=2),
        "due_after": bounds,
        "due_before": bounds,
        "words": st.lists(words, max_size=2).map(tuple),
        "sort": st.sampled_from(TaskSort),
        "descending": st.booleans(),
        "limit": st.integers(1, 5),
        **members})


def cut_into(data: st.DataObject, stream: bytes) -> list[bytes]:
    """Cut bytes anywhere: into few pieces, or into many small ones."""
    size = data.draw(st.sampled_from((1, 2, 3, 7, 1 << 20)), "largest piece")
    cuts = data.draw(st.sets(st.integers(0, len(stream)), max_size=5), "cuts")
    ends = sorted({*cuts, *range(size, len(stream), size), len(stream)})
    return [stream[start:end] for start, end in zip([0, *ends], ends)]
