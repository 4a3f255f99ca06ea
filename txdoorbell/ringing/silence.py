"""Noticing silence: a call when nothing has been heard for so long."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txdoorbell.clocks import monotonic_of
from txdoorbell.loops.awaiting import logged
from txdoorbell.loops.bridge import call


class Silence:
    """
    Call a function each time nothing was heard for so many seconds.

    A sound costs no timer: the one that runs is put off when it fires.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._monotonic = monotonic_of(reactor)
        self._timeout: float | None = None
        self._function: Callable[[], object] | None = None
        self._last = 0.0
        self._timer: IDelayedCall | None = None

    def expect(self, timeout: float | None, function: Callable[[], object]) -> None:
        """
        Say what is to be called, and when; before the start.

        :param timeout: seconds of silence; None for never.
        :param function: an error of it, also of its Deferred, goes to ``log.err``.
        """
        self._timeout = timeout
        self._function = function

    def start(self) -> None:
        """Begin to wait."""
        self.stop()
        self.broken()
        if self._timeout is not None:
            self._timer = self._reactor.callLater(self._timeout, self._fired)

    def stop(self) -> None:
        """Call no more; harmless when it was not started."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def broken(self) -> None:
        """Learn that something was heard just now."""
        self._last = self._monotonic()

    def rearm(self) -> None:
        """Set the timer anew, by the clock as it is now."""
        if self._timer is not None and self._timeout is not None:
            self.stop()
            left = self._last + self._timeout - self._monotonic()
            self._timer = self._reactor.callLater(max(0.0, left), self._fired)

    def _fired(self) -> None:
        if self._timeout is None or self._function is None:
            return
        if self._monotonic() < self._last + self._timeout:
            self.rearm()
            return
        self.start()
        call(self._function).addErrback(logged("what silence calls failed"))
