"""
Tests without PostgreSQL: a listener that the test speaks for, and time that passes until quiet.

Your own functions are what is tested with these. The fake listener and the real one are held to the
same behaviour by the same tests.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from txdoorbell.doorbell import Doorbell
from txdoorbell.fakes import FakeListener
from txdoorbell.fleet.fake_locks import FakeLocks
from txdoorbell.loop import LoopBase
from txdoorbell.notification import Notification, check_channel, check_payload
from txdoorbell.walreading.fake_log import FakeWalSource

__all__ = ["FakeListener", "FakeLocks", "FakeWalSource", "advance_until_quiet", "ring"]


def ring(
    target: LoopBase | Doorbell, channel: str = "doorbell", payload: str = "", pid: int = 0
) -> None:
    """
    Ring a loop, or a doorbell by its fake listener, as a NOTIFY of somebody else would.

    Nothing has run yet when this returns: :func:`advance_until_quiet` follows.

    :param pid: the process id of the sender's backend.
    :raises AssertionError: when the doorbell can't hear it: PostgreSQL would drop it. What becomes
        of a ring that is lost is tested with :meth:`FakeListener.deliver`.
    :raises TypeError: for a channel or payload that is no str, or a doorbell whose listener is no
        fake.
    :raises ValueError: for a channel or payload that PostgreSQL would not take.
    """
    if not isinstance(target, Doorbell):
        target.notified(Notification(check_channel(channel), check_payload(payload), pid))
        return
    listener = target.listener
    if not isinstance(listener, FakeListener):
        raise TypeError(f"{listener!r} is no FakeListener: give the Doorbell one as listener=")
    if not listener.deliver(channel, payload, pid):
        raise AssertionError(
            f"a ring on {channel!r} is lost: the listener is {listener.state}, "
            f"and hears {sorted(listener.listened)}"
        )


def advance_until_quiet(
    clock: Clock, *services: LoopBase | Doorbell, limit: float = 60.0, patience: float = 5.0
) -> float:
    """
    Advance a clock, from one delayed call to the next, until loops are quiet.

    Quiet is what :meth:`~txdoorbell.loop.LoopBase.is_quiet` says: nothing is active and nothing
    due. A function that sleeps until a time, or is tried again after an error, is quiet: advance
    the clock yourself for that.

    :param services: loops, or doorbells for all their loops.
    :param limit: seconds by the clock that this may take.
    :param patience: seconds by the wall that it may take at one instant of the clock.
    :returns: the seconds that it took.
    :raises AssertionError: when they aren't quiet then, will never be because nothing is scheduled,
        or go on and on at one instant. It says which, and what is scheduled.
    """
    loops = [loop for service in services for loop in _loops(service)]
    start = clock.seconds()
    _advance(clock, 0.0, loops, patience)
    while not all(loop.is_quiet() for loop in loops):
        now = clock.seconds()
        times = [call.getTime() for call in clock.getDelayedCalls()]
        if not times:
            raise AssertionError(_report(loops, "nothing is scheduled that could end it", clock))
        if min(times) - start > limit:
            raise AssertionError(_report(loops, f"not in {limit:g} s", clock))
        _advance(clock, min(times) - now, loops, patience)
    return clock.seconds() - start


def _loops(service: LoopBase | Doorbell) -> Iterable[LoopBase]:
    return service.loops if isinstance(service, Doorbell) else (service,)


def _advance(clock: Clock, seconds: float, loops: Sequence[LoopBase], patience: float) -> None:
    """Advance a clock, but not for ever when each call schedules another one at once."""
    end = time.monotonic() + patience
    watches: deque[IDelayedCall] = deque(maxlen=1)

    def watch() -> None:
        if time.monotonic() > end:
            raise AssertionError(_report(loops, "on and on at one instant", clock))
        if any(call.getTime() <= clock.seconds() for call in clock.getDelayedCalls()):
            watches.append(clock.callLater(0, watch))

    watches.append(clock.callLater(seconds, watch))
    try:
        clock.advance(seconds)
    finally:
        if watches[0].active():
            watches[0].cancel()


def _report(loops: Iterable[LoopBase], why: str, clock: Clock) -> str:
    restless = [_describe(loop) for loop in loops if not loop.is_quiet()]
    scheduled = sorted(clock.getDelayedCalls(), key=lambda call: call.getTime())
    return "\n  ".join([f"not quiet: {why}", *restless, *map(repr, scheduled[:10])])


def _describe(loop: LoopBase) -> str:
    if not loop.running:
        return f"{loop.name} has been rung, but isn't running: was its service started?"
    now = "something is due" if loop.active is None else f"{loop.active} is active"
    return f"{loop.name}: {now}, and ring {loop.covered} of {loop.rung} is served"
