"""What follows from a function's result: a sleep, another run, another try."""

from __future__ import annotations

import math
from collections.abc import Callable

from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.loops.agenda import Agenda
from txdoorbell.loops.causes import Cause
from txdoorbell.loops.outcomes import FOUND_WORK, WORK_REMAINING, Outcome, read_result
from txdoorbell.loops.policy import Policy
from txdoorbell.loops.wakeups import Wakeups
from txdoorbell.processor import Processor

LONGEST_RETRY_DELAY = 300.0
"""Seconds: the longest wait between two tries of a function that keeps failing."""


LEAST_RETRY_DELAY = 0.05
"""Seconds: the shortest first delay, of a loop that has no minimum delay."""


class Results:
    """
    Sees to what follows from each result of the processors of one loop.

    :param policy: the loop's settings.
    :param agenda: told who has work remaining.
    :param wakeups: told who sleeps until when.
    :ivar finds: how often work was found, for each cause of the call.
    :ivar on_find: called with the processor when work was found; None for nobody.
    """

    def __init__(self, policy: Policy, agenda: Agenda, wakeups: Wakeups) -> None:
        self._policy = policy
        self._agenda = agenda
        self._wakeups = wakeups
        self.finds: dict[Cause, int] = dict.fromkeys(Cause, 0)
        self.on_find: Callable[[Processor], None] | None = None

    def take(self, processor: Processor, value: object, last: bool = False) -> None:
        """
        See to what a call came to: a value, or a Failure.

        :param last: whether the loop is stopping: an error is logged then, and no more.
        """
        if isinstance(value, Failure):
            self._failed(processor, value, last)
            return
        try:
            outcome = read_result(processor.name, value)
        except Exception:  # noqa: BLE001 - a result can be hostile; it stops nobody else
            self._failed(processor, Failure(), last)
        else:
            processor.record.result = value
            self._returned(processor, outcome)

    def _returned(self, processor: Processor, outcome: Outcome | float) -> None:
        processor.failures = 0
        processor.record.succeeded = processor.record.ended
        if outcome is FOUND_WORK or outcome is WORK_REMAINING:
            self._found_work(processor)
        if processor.removed:
            return
        if outcome is WORK_REMAINING:
            self._agenda.make_due_last(processor)
        elif isinstance(outcome, float):
            self._wakeups.set(processor, outcome, self._policy.minimum_delay)

    def _found_work(self, processor: Processor) -> None:
        processor.record.finds += 1
        self.finds[processor.cause] += 1
        if self.on_find is not None:
            self.on_find(processor)

    def _failed(self, processor: Processor, failure: Failure, last: bool) -> None:
        processor.record.fail(failure)
        next_step = "its loop stops" if last else self._what_next(processor)
        log.err(failure, f"{self._policy.name}: {processor.name} failed; {next_step}")

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
    :param minimum_delay: seconds: the first delay, doubled for each further failure; at least
        :data:`LEAST_RETRY_DELAY`, so that it grows.
    :returns: seconds, at most :data:`LONGEST_RETRY_DELAY` (or the minimum, where that is longer).
    """
    doubled = max(minimum_delay, LEAST_RETRY_DELAY) * 2.0 ** min(failures - 1, 32)
    return max(minimum_delay, min(doubled, LONGEST_RETRY_DELAY))
