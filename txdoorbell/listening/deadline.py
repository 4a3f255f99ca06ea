"""The end of a wait, which neither a blocked reactor nor a busy one brings on."""

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
    reactor makes overdue calls before it reads: so it is given a moment for that. What comes before
    it may be much: while that is being read, up to twice as many seconds may pass, of those in
    which the reactor wasn't blocked.

    :param passed: called once, unless the deadline is cancelled.
    :param last_read: returns when something was last read from where the answer is to come, on the
        reactor's monotonic clock; None for nowhere.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        seconds: float,
        passed: Callable[[], object],
        last_read: Callable[[], float] | None = None,
    ) -> None:
        self._reactor = reactor
        self._now = monotonic_of(reactor)
        self._seconds = seconds
        self._passed = passed
        self._last_read = last_read
        self._limit = self._now() + 2 * seconds
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        self._end = self._now() + seconds
        self._call = self._reactor.callLater(seconds, self._due)

    def _due(self) -> None:
        now = self._now()
        if now - self._end > GRACE:
            self._limit = max(self._limit, now + self._seconds)
            self._wait(GRACE)
        elif self._reads(now) and now < self._limit:
            self._wait(GRACE)
        else:
            self._passed()

    def _reads(self, now: float) -> bool:
        return self._last_read is not None and now - self._last_read() <= GRACE

    def cancel(self) -> None:
        """Don't call it any more; nothing when it has been called, or was cancelled."""
        if self._call.active():
            self._call.cancel()
