"""
Holding back what others can't see yet.

The log tells of a COMMIT as soon as it is written, and a moment before other sessions see what it
did; with synchronous replication that moment lasts until the standby has answered. Whoever looked
then would find nothing, and be told of it by nobody again. So what a transaction did is told when a
session that looks sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from txdoorbell.clocks import monotonic_of

__all__ = ["SNAPSHOT", "Gate", "Snapshot"]

SNAPSHOT = "select pg_catalog.pg_current_snapshot()::text"

_SHARE = 2.0
"""After an answer nothing is asked for so many times as long as that took: in a storm one answer
serves many transactions, and what it costs is bounded."""

_PAUSE = 0.002
"""Seconds between two questions about a transaction that others don't see yet, at first."""

_LONGEST_PAUSE = 1.0
"""Seconds between two questions about a transaction that others don't see for long, at most."""

_WRAP = 1 << 32

_Call = Callable[[], object]


class Snapshot(NamedTuple):
    """Which transactions have ended: those with a number below ``end`` that aren't in progress."""

    end: int
    in_progress: frozenset[int]

    @classmethod
    def read(cls, text: str) -> Snapshot:
        """Read PostgreSQL's ``xmin:xmax:xip,xip``."""
        _, end, running = text.split(":")
        return cls(int(end), frozenset(map(int, filter(None, running.split(",")))))

    def sees(self, number: int) -> bool:
        """Say whether a transaction has ended, by the lower 32 bits of its number."""
        behind = (self.end - number) % _WRAP
        if behind == 0 or behind >= _WRAP // 2:
            return False
        return self.end - behind not in self.in_progress


class Gate:
    """
    Makes calls in the order in which they were asked for, each once a transaction is seen.

    Nothing is asked while there is nothing to wait for.

    :param look: returns a Deferred with the answer to :data:`SNAPSHOT`.
    :param failed: told when there is no answer.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        look: Callable[[], Deferred[str]],
        failed: Callable[[Failure], object],
    ) -> None:
        self._reactor = reactor
        self._now = monotonic_of(reactor)
        self._look = look
        self._failed = failed
        self._held: list[tuple[int, _Call]] = []
        self._looking = False
        self._closed = False
        self._next: IDelayedCall | None = None
        self._not_before = float("-inf")
        self._pause = _PAUSE

    def when_seen(self, number: int, call: _Call) -> None:
        """Make a call once this transaction is seen; for number 0, which is none, at once."""
        if self._closed:
            return
        if number == 0:
            call()
            return
        self._held.append((number, call))
        self._pause = _PAUSE
        self._look_soon()

    def close(self) -> None:
        """Make no call any more."""
        self._closed = True
        self._held.clear()
        self._cancel()

    def _look_soon(self, pause: float = 0.0) -> None:
        if self._looking:
            return
        wait = max(pause, self._not_before - self._now())
        if wait <= 0:
            self._cancel()
            self._ask()
        elif self._next is None or self._next.getTime() > self._reactor.seconds() + wait:
            self._cancel()
            self._next = self._reactor.callLater(wait, self._ask)

    def _ask(self) -> None:
        self._next = None
        self._looking = True
        asked, now = self._held[:], self._now()
        self._look().addCallback(self._seen, asked, now).addErrback(self._fail)

    def _seen(self, text: str, asked: list[tuple[int, _Call]], since: float) -> None:
        self._looking = False
        now = self._now()
        self._not_before = now + _SHARE * (now - since)
        if self._closed:
            return
        snapshot = Snapshot.read(text)
        seen = [snapshot.sees(number) for number, _ in asked]
        unseen = [entry for entry, is_seen in zip(asked, seen, strict=True) if not is_seen]
        came_since = self._held[len(asked) :]
        self._held = unseen + came_since
        for (_, call), is_seen in zip(asked, seen, strict=True):
            if is_seen and not self._closed:
                call()
        self._look_again(bool(came_since))

    def _look_again(self, came_since: bool) -> None:
        if self._held and not self._looking and not self._closed:
            if not came_since:
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._look_soon(0.0 if came_since else self._pause)

    def _fail(self, failure: Failure) -> None:
        self._looking = False
        if not self._closed:
            self._failed(failure)

    def _cancel(self) -> None:
        call, self._next = self._next, None
        if call is not None and call.active():
            call.cancel()
