"""
Clocks that can be relied on.

Twisted's reactors count on the wall clock: when that is set back by an hour, every delayed call is
an hour late; when it is set forward, they all come at once. A :class:`SteadyClock` keeps the length
of what it delays.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python import runtime
from zope.interface import alsoProvides, implementer, providedBy

EARLY = 0.001
"""Seconds by which a delayed call may be early: timers are no more exact."""


def monotonic_of(reactor: IReactorTime) -> Callable[[], float]:
    """
    Return the monotonic clock that belongs to a reactor.

    Twisted's reactors count on the wall clock, so their twin is the system's monotonic clock. A
    clock that has a method ``monotonic`` is asked for that one. Any other (``task.Clock`` in a
    test) is taken at its word, and is its own.
    """
    own: Callable[[], float] | None = getattr(reactor, "monotonic", None)
    if own is not None:
        return own
    return time.monotonic if reactor.seconds is runtime.seconds else reactor.seconds


def running_out(monotonic: Callable[[], float], seconds: float) -> Callable[[], float]:
    """
    Return a clock for a length of time that is over when it has really passed, if not before.

    A test's clock stands still while a function is at work, which may wait for its time to be up.
    Once so many seconds have passed on the system's clock too, such a clock says infinity.
    """
    if monotonic is time.monotonic:
        return monotonic
    end = time.monotonic() + seconds
    return lambda: math.inf if time.monotonic() >= end else monotonic()


def boottime() -> float:
    """Return the seconds since the machine was started, while it was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def sleepless_of(reactor: IReactorTime) -> Callable[[], float]:
    """
    Return the monotonic clock that belongs to a reactor and goes on while the machine is suspended.

    The system's monotonic clock may stand still then, as Linux' does. Where there is none that
    doesn't, it is that of :func:`monotonic_of`.
    """
    monotonic = monotonic_of(reactor)
    goes_on = monotonic is time.monotonic and hasattr(time, "CLOCK_BOOTTIME")
    return boottime if goes_on else monotonic


@implementer(IReactorTime)
class SteadyClock:
    """
    A reactor whose delayed calls keep their length, whatever the wall clock does.

    A call that comes early is put off by itself; for those that would be late somebody must call
    :meth:`resettle` when the wall clock has been stepped. All else is the reactor's own.

    :param reactor: any reactor, or a test's clock.
    :ivar reactor: the reactor below.
    """

    def __init__(self, reactor: IReactorTime, monotonic: Callable[[], float] | None = None) -> None:
        self.reactor = reactor
        self.monotonic = monotonic or monotonic_of(reactor)
        self._pending: dict[_SteadyCall, None] = {}
        self.seconds = reactor.seconds
        alsoProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reactor, name)

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002 - as IReactorTime has it
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall:
        """Call a function after so many seconds, as ``IReactorTime`` has it."""
        call = _SteadyCall(self, delay, lambda: callable(*args, **kwargs), self._pending.pop)
        self._pending[call] = None
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """Return the calls that are pending here."""
        return list(self._pending)

    def resettle(self) -> None:
        """Set every pending call anew, by what is left of it."""
        for call in list(self._pending):
            call.resettle()


@implementer(IDelayedCall)
class _SteadyCall:
    """A delayed call that knows its time on the monotonic clock."""

    def __init__(
        self,
        clock: SteadyClock,
        delay: float,
        function: Callable[[], Any],
        forget: Callable[[_SteadyCall, None], None],
    ) -> None:
        self._clock = clock
        self._function = function
        self._forget = forget
        self._due = clock.monotonic() + delay
        self._call = clock.reactor.callLater(delay, self._fire)

    def __repr__(self) -> str:
        return f"<{self._call!r} of {self._function!r}>"

    @property
    def _left(self) -> float:
        return max(0.0, self._due - self._clock.monotonic())

    def _fire(self) -> None:
        if self._left > EARLY:
            self._call = self._clock.reactor.callLater(self._left, self._fire)
            return
        self._forget(self, None)
        self._function()

    def resettle(self) -> None:
        """Have the reactor call when it is time, by its clock as it is now."""
        self._call.reset(self._left)

    def getTime(self) -> float:
        """Return when it will be called, in the reactor's seconds."""
        return self._call.getTime()

    def cancel(self) -> None:
        """Call it never."""
        self._call.cancel()
        self._forget(self, None)

    def delay(self, secondsLater: float) -> None:  # noqa: N803 - as IDelayedCall has it
        """Put it off by so many seconds."""
        self._due += secondsLater
        self._call.delay(secondsLater)

    def reset(self, secondsFromNow: float) -> None:  # noqa: N803 - the same
        """Call it after so many seconds from now."""
        self._due = self._clock.monotonic() + secondsFromNow
        self._call.reset(secondsFromNow)

    def active(self) -> bool:
        """Say whether it is still to be called."""
        return self._call.active()
