"""Running everything once, on demand."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from txdoorbell.loops.causes import Cause
from txdoorbell.loops.waiters import after
from txdoorbell.ringing.wiring import Wiring


def poll(wiring: Wiring, stop: Callable[[], Deferred[list[None]]] | None) -> Deferred[None]:
    """
    Run everything once, now.

    :param stop: stops the loops, which are started for this; None for loops that run already.
    :returns: fires when all loops are quiet, and stopped again.
    """
    if stop is None:
        wiring.ring_all(Cause.RING)
        return after(wiring.when_quiet())
    for loop in wiring.loops:
        loop.startService()
    return after(wiring.when_quiet().addCallback(lambda _: stop()))
