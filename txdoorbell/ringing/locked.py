"""The locks of a doorbell's loops; nothing of a fleet is loaded before there is one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from txdoorbell.loops.loopbase import LoopBase
from txdoorbell.notification import Source
from txdoorbell.processor import check_seconds
from txdoorbell.status import LoopStatus
from txdoorbell.switchboard import Switchboard

if TYPE_CHECKING:
    from txdoorbell.leadership import Leadership

__all__ = ["Locks"]


def _check_count(name: str, number: object) -> None:
    if number is None:
        return
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{name} must be a whole number or None, not {number!r}")
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")


class Locks:
    """
    Passes everything on to a :class:`~txdoorbell.leadership.Leadership`, once there is a lock.

    :param source: whose sessions hold the locks.
    :param lock_interval: seconds between two tries for a lock whose holder may have died.
    :param max_loops: how many locks this process holds at the most; None for any number.
    :param hosts: how many hosts there are, roughly; None for not many.
    :raises TypeError: for what is no number.
    :raises ValueError: for a number that can't be.
    """

    def __init__(
        self,
        clock: IReactorTime,
        source: Source,
        switchboard: Switchboard,
        lock_interval: float = 2.0,
        max_loops: int | None = None,
        hosts: int | None = None,
    ) -> None:
        check_seconds("lock_interval", lock_interval)
        _check_count("max_loops", max_loops)
        _check_count("hosts", hosts)
        self._clock = clock
        self._source = source
        self._switchboard = switchboard
        self._terms = lock_interval, max_loops, hosts
        self._leadership: Leadership | None = None
        self._running = False

    def add(self, loop: LoopBase, name: str) -> None:
        """Let a loop run only while a lock is held; raises as ``add_loop`` says."""
        leadership = self._leadership or self._new()
        leadership.add(loop, name)
        self._leadership = leadership

    def _new(self) -> Leadership:
        from txdoorbell.leadership import Leadership

        interval, max_loops, hosts = self._terms
        leadership = Leadership(
            self._clock, self._source, self._switchboard, interval, max_loops, hosts=hosts
        )
        if self._running:
            leadership.start()
        return leadership

    def start(self) -> None:
        """Begin to try for the locks."""
        self._running = True
        if self._leadership is not None:
            self._leadership.start()

    def stop(self) -> None:
        """Try for no lock any more."""
        self._running = False
        if self._leadership is not None:
            self._leadership.stop()

    def give_back(self, loop: LoopBase) -> Deferred[None]:
        """Give the lock of a loop back that has stopped; the Deferred fires soon, and with None."""
        return succeed(None) if self._leadership is None else self._leadership.give_back(loop)

    def status(self, loop: LoopBase) -> LoopStatus:
        """Return a loop's status, with that of its lock."""
        return loop.status() if self._leadership is None else self._leadership.status(loop)

    def look(self) -> None:
        """See now whether what is held is still safe: the machine may have been suspended."""
        if self._leadership is not None:
            self._leadership.look()

    def refusals(self) -> Iterable[str]:
        """Return why locks are refused, in words; none when they aren't."""
        return () if self._leadership is None else self._leadership.refusals()
