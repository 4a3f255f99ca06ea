"""What a function's result means: done, more work, or a time."""

from __future__ import annotations

import enum
import math
from datetime import datetime
from reprlib import repr as short_repr
from typing import cast


class Outcome(enum.Enum):
    """What a function that returns no time may say about its work."""

    WORK_REMAINING = "work_remaining"
    DONE_FOR_NOW = "done_for_now"
    FOUND_WORK = "found_work"


WORK_REMAINING = Outcome.WORK_REMAINING
"""Call me again in the next run, after every other function that is due."""

DONE_FOR_NOW = Outcome.DONE_FOR_NOW
"""Let me sleep until I am rung. The same as ``None``."""

FOUND_WORK = Outcome.FOUND_WORK
"""As ``DONE_FOR_NOW``, and there was work to do. ``WORK_REMAINING`` says that too."""


def read_result(name: str, result: object) -> Outcome | float:
    """
    Say what a function's result means.

    :param name: the function's name, for the error.
    :returns: an :class:`Outcome`, or the epoch seconds at which to call it again.
    :raises TypeError: for a result of a type that means nothing.
    :raises ValueError: for a number or a ``datetime`` that is no moment in time.
    """
    # The usual ones first: to ask whether something is an Enum takes longer than all the rest.
    kind = type(result)
    if kind is Outcome:
        return cast(Outcome, result)
    if kind is float or kind is int:
        return _finite(name, cast(float, result))
    if result is None:
        return DONE_FOR_NOW
    if isinstance(result, enum.Enum) and result.name in Outcome.__members__:
        return Outcome[result.name]
    if isinstance(result, datetime):
        return _moment(name, result)
    if isinstance(result, (int, float)) and not isinstance(result, bool):
        return _finite(name, result)
    raise TypeError(
        f"{name} returned {short_repr(result)}: expected None, WORK_REMAINING, DONE_FOR_NOW, "
        "FOUND_WORK, epoch seconds, an aware datetime, or something to wait for"
    )


def _moment(name: str, result: datetime) -> float:
    if result.utcoffset() is None:
        raise ValueError(f"{name} returned {result!r}: a datetime must have a time zone")
    return result.timestamp()


def _finite(name: str, result: float) -> float:
    try:
        seconds = float(result)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise ValueError(f"{name} returned {short_repr(result)}: epoch seconds must be finite")
    return seconds
