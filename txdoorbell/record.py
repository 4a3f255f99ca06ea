"""What happened to a processor so far: counted where it happens, shown by the status."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.python.failure import Failure


@dataclass(slots=True)
class Record:
    """
    The history of one processor, in a few figures.

    Times are seconds on the loop's monotonic clock.

    :ivar runs: how many calls have begun.
    :ivar errors: how many have failed.
    :ivar finds: how many have found work.
    :ivar began: when the last one began; None before the first.
    :ivar took: how long the last one that ended had taken.
    :ivar succeeded: when one last ended without an error.
    :ivar result: what the last one returned.
    :ivar error: the last error and its traceback, in words; None for none.
    """

    runs: int = 0
    errors: int = 0
    finds: int = 0
    began: float | None = None
    took: float | None = None
    succeeded: float | None = None
    result: object = None
    error: str | None = None

    def ended(self, now: float, value: object) -> None:
        """Take down the end of a call."""
        if self.began is not None:
            self.took = now - self.began
        if value is None:
            self.succeeded, self.result = now, None

    def fail(self, failure: Failure) -> None:
        """Take down an error."""
        self.errors += 1
        self.error = failure.getTraceback(elideFrameworkCode=True)
