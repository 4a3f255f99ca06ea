"""The locks of a doorbell's loops; nothing of a fleet is loaded before there is one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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

__all__ = ["Locks", "Terms"]


@dataclass(frozen=True)
class Terms:
    """
    What a doorbell is told of its fleet.

    :ivar lock_interval: seconds between two tries for a lock whose holder may have died.
    :ivar max_loops: how many locks this process holds at the most; None for any number.
    :ivar hosts: how many hosts there are, roughly; None for not many.
    """

    lock_interval: float = 2.0
    max_loops: int | None = None
    hosts: int | None = None

    def __post_init__(self) -> None:
        """
        Check everything.

        :raises TypeError: for what is no number.
        :raises ValueError: for a number that can't be.
        """
        check_seconds("lock_interval", self.lock_interval)
        _check_count("max_loops", self.max_loops)
        _check_count("hosts", self.hosts)


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
    """

    def __init__(
        self, clock: IReactorTime, source: Source, switchboard: Switchboard, terms: Terms
    ) -> None:
        self._clock = clock
        self._source = source
        self._switchboard = switchboard
        self._terms = terms
        self._leadership: Leadership | None = None
        self._running = False

    def add(self, loop: LoopBase, name: str) -> None:
        """Let a loop run only while a lock is held; raises as ``add_loop`` says."""
        leadership = self._leadership or self._new()
        leadership.add(loop, name)
        self._leadership = leadership

    def _new(self) -> Leadership:
        from txdoorbell.leadership import Leadership

        terms = self._terms
        leadership = Leadership(
            self._clock,
            self._source,
            self._switchboard,
            terms.lock_interval,
            terms.max_loops,
            hosts=terms.hosts,
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

    def refusals(self) -> Iterable[str]:
        """Return why locks are refused, in words; none when they aren't."""
        return () if self._leadership is None else self._leadership.refusals()
