"""The end of a wait, which a blocked reactor does not bring on."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from txdoorbell.clocks import monotonic_of

__all__ = ["GRACE", "Deadline"]

GRACE = 0.1
"""Seconds in which a reactor that was blocked can read what has come meanwhile."""


class Deadline:
    """
    Calls a function after so many seconds, in the last of which the reactor was at work.

    When it was blocked over the end, what is waited for may have come without being read, and the
    reactor makes overdue calls before it reads: so it is given a moment for that.

    :param passed: called once, unless the deadline is cancelled.
    """

    def __init__(self, reactor: IReactorTime, seconds: float, passed: Callable[[], object]) -> None:
        self._reactor = reactor
        self._now = monotonic_of(reactor)
        self._passed = passed
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        self._end = self._now() + seconds
        self._call = self._reactor.callLater(seconds, self._due)

    def _due(self) -> None:
        if self._now() - self._end > GRACE:
            self._wait(GRACE)
        else:
            self._passed()

    def cancel(self) -> None:
        """Don't call it any more; nothing when it has been called, or was cancelled."""
        if self._call.active():
            self._call.cancel()
