"""What happened to a processor so far: counted where it happens, shown by the status."""

from __future__ import annotations

from dataclasses import dataclass, field

from twisted.python.failure import Failure

from txdoorbell.loops.histogram import FIRST, Durations, Slow


@dataclass(slots=True)
class Record:
    """
    The history of one processor, in a few figures.

    Times are seconds on the loop's monotonic clock.

    :ivar runs: how many calls have begun.
    :ivar errors: how many have failed.
    :ivar finds: how many have found work.
    :ivar began: when the last one began; None before the first.
    :ivar ended: when the last one that ended did; None before the first.
    :ivar took: how long the last one that ended had taken.
    :ivar total: how long all that have ended had taken together.
    :ivar slow: those of them that took longer than the first bucket of a histogram.
    :ivar succeeded: when one last ended without an error.
    :ivar result: what the last one returned.
    :ivar error: the last error and its traceback, in words; None for none.
    """

    runs: int = 0
    errors: int = 0
    finds: int = 0
    began: float | None = None
    ended: float | None = None
    took: float | None = None
    succeeded: float | None = None
    result: object = None
    error: str | None = None
    total: float = 0.0
    slow: Slow = field(default_factory=Slow)

    def end(self, now: float, value: object) -> None:
        """Take down the end of a call."""
        self.ended = now
        if self.began is not None:
            self.took = took = now - self.began
            self.total += took
            if took > FIRST:
                self.slow.add(took)
        if value is None:
            self.succeeded, self.result = now, None

    def durations(self, active: bool) -> Durations:
        """
        Return how long the calls took that have ended.

        :param active: whether the last one has not.
        """
        return self.slow.among(self.runs - active, self.total)

    def fail(self, failure: Failure) -> None:
        """Take down an error."""
        self.errors += 1
        self.error = failure.getTraceback(elideFrameworkCode=True)
