"""What a function's result means, and what follows from it: a sleep, another run, another try."""

from __future__ import annotations

import enum
import math
from datetime import datetime
from reprlib import repr as short_repr
from typing import TYPE_CHECKING

from twisted.python import log
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from txdoorbell.agenda import Agenda
    from txdoorbell.policy import Policy
    from txdoorbell.processor import Processor
    from txdoorbell.wakeups import Wakeups


class Outcome(enum.Enum):
    """What a function that returns no time may say about its work."""

    WORK_REMAINING = "work_remaining"
    DONE_FOR_NOW = "done_for_now"


WORK_REMAINING = Outcome.WORK_REMAINING
"""Call me again in the next run, after every other function that is due."""

DONE_FOR_NOW = Outcome.DONE_FOR_NOW
"""Let me sleep until I am rung. The same as ``None``."""

LONGEST_RETRY_DELAY = 300.0
"""Seconds: the longest wait between two tries of a function that keeps failing."""


def read_result(name: str, result: object) -> Outcome | float:
    """
    Say what a function's result means.

    :param name: the function's name, for the error.
    :returns: an :class:`Outcome`, or the epoch seconds at which to call it again.
    :raises TypeError: for a result of a type that means nothing.
    :raises ValueError: for a number or a ``datetime`` that is no moment in time.
    """
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
        "epoch seconds, an aware datetime, or something to wait for"
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


class Results:
    """
    Sees to what follows from each result of the processors of one loop.

    :param policy: the loop's settings.
    :param agenda: told who has work remaining.
    :param wakeups: told who sleeps until when.
    """

    def __init__(self, policy: Policy, agenda: Agenda, wakeups: Wakeups) -> None:
        self._policy = policy
        self._agenda = agenda
        self._wakeups = wakeups

    def take(self, processor: Processor, value: object) -> None:
        """See to what a call came to: a value, or a Failure."""
        if isinstance(value, Failure):
            self._failed(processor, value)
            return
        try:
            outcome = read_result(processor.name, value)
        except Exception:  # noqa: BLE001 - a result can be hostile; it stops nobody else
            self._failed(processor, Failure())
        else:
            self._returned(processor, outcome)

    def _returned(self, processor: Processor, outcome: Outcome | float) -> None:
        processor.failures = 0
        if processor.removed:
            return
        if outcome is WORK_REMAINING:
            self._agenda.make_due_last(processor)
        elif isinstance(outcome, float):
            self._wakeups.set(processor, outcome, self._policy.minimum_delay)

    def _failed(self, processor: Processor, failure: Failure) -> None:
        log.err(
            failure, f"{self._policy.name}: {processor.name} failed; {self._what_next(processor)}"
        )

    def _what_next(self, processor: Processor) -> str:
        if processor.removed:
            return "it had been removed"
        if self._policy.retry if processor.retry is None else processor.retry:
            processor.failures += 1
            delay = retry_delay(processor.failures, self._policy.minimum_delay)
            self._wakeups.set(processor, -math.inf, delay)
            return f"it is tried again in {delay:g} s"
        if processor.interrupted:
            self._wakeups.restore(processor)
            return "it keeps its wake-up"
        return "it waits for the next ring"


def retry_delay(failures: int, minimum_delay: float) -> float:
    """
    Say how long to wait for the next try.

    :param failures: how many there were in a row.
    :param minimum_delay: seconds: the first delay, doubled for each further failure.
    :returns: seconds, at most :data:`LONGEST_RETRY_DELAY` (or the minimum, where that is longer).
    """
    doubled = minimum_delay * 2.0 ** min(failures - 1, 32)
    return max(minimum_delay, min(doubled, LONGEST_RETRY_DELAY))
