"""How long a ring waits for its run."""

from __future__ import annotations

from collections.abc import Callable

from txdoorbell.loops.histogram import FIRST, Durations, Slow

__all__ = ["Response"]


class Response:
    """
    Measures the time from a ring to the beginning of the run that serves it.

    Of several rings that one run serves the first counts.

    :param monotonic: says the time, in seconds.
    :ivar rung: when the first of these rings came; None when there is none.
    """

    __slots__ = ("_monotonic", "_number", "_slow", "_total", "rung")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._number = 0
        self._total = 0.0
        self._slow = Slow()
        self.rung: float | None = None

    def begin(self) -> None:
        """Take down that a run begins, which serves every ring so far."""
        if self.rung is None:
            return
        waited = self._monotonic() - self.rung
        self.rung = None
        self._number += 1
        self._total += waited
        if waited > FIRST:
            self._slow.add(waited)

    @property
    def latencies(self) -> Durations:
        """How long rings have waited, so far."""
        return self._slow.among(self._number, self._total)
