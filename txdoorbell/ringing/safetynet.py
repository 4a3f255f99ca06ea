"""
The last resort: a ring at regular intervals, for what no notification announced.

While the ear is deaf the intervals are a fifth as long.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txdoorbell.clocks import monotonic_of

DEAF_SHARE = 5
"""How many times as often the net is cast while the ear is deaf."""


class SafetyNet:
    """
    Call a function each so many seconds.

    :param interval: seconds; 0 for never.
    :param ring: called each time.
    """

    def __init__(self, reactor: IReactorTime, interval: float, ring: Callable[[], None]) -> None:
        self.interval = interval
        self._reactor = reactor
        self._monotonic = monotonic_of(reactor)
        self._ring = ring
        self._deaf = True
        self._running = False
        self._last = 0.0
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Cast the net for the first time after one interval."""
        self._last = self._monotonic()
        self._running = True
        self.rearm()

    def stop(self) -> None:
        """Call no more; harmless when it was not started."""
        self._running = False
        self._disarm()

    def hear(self, hears: bool) -> None:
        """Learn whether the ear hears: the interval that has begun is made longer or shorter."""
        if self._deaf is hears:
            self._deaf = not hears
            self.rearm()

    def rearm(self) -> None:
        """Set the timer anew, by the clock and the interval as they are now."""
        self._disarm()
        if self._running and self.interval:
            interval = self.interval / DEAF_SHARE if self._deaf else self.interval
            passed = self._monotonic() - self._last
            self._timer = self._reactor.callLater(max(0.0, interval - passed), self._cast)

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _cast(self) -> None:
        self.start()
        self._ring()
