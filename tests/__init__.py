"""The tests, and what they share. They print nothing: also not how long a step of a loop in debug mode took."""

import logging


def _reports_no_slow_step(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Executing %s took")


# unittest's loops are in debug mode, in which asyncio warns of each step over 0.1 s: all of them on a busy machine.
logging.getLogger("asyncio").addFilter(_reports_no_slow_step)
