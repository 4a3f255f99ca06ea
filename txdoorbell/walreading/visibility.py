"""
Holding back what others can't see yet.

The log tells of a COMMIT as soon as it is written, and a moment before other sessions see what it
did; with synchronous replication that moment lasts until the standby has answered. Whoever looked
then would find nothing, and be told of it by nobody again. So what a transaction did is told when a
session that looks sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from txdoorbell.clocks import monotonic_of

__all__ = ["SNAPSHOT", "Gate", "Snapshot"]

SNAPSHOT = "select pg_catalog.pg_current_snapshot()::text"

_SHARE = 2.0
"""After an answer nothing is asked for so many times as long as that took: in a storm one answer
serves many transactions, and what it costs is bounded."""

_LONGEST_REST = 0.002
"""Seconds after an answer for which nothing is asked, at most, however long it took."""

_PAUSE = 0.001
"""Seconds between two questions about a transaction that others don't see yet, at first."""

_LONGEST_PAUSE = 1.0
"""Seconds between two questions about a transaction that others don't see for long, at most."""

_WRAP = 1 << 32

T = TypeVar("T")


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


class Gate(Generic[T]):
    """
    Lets things pass in the order in which they came, each once a transaction is seen.

    Nothing is asked while there is nothing to wait for.

    :param look: returns a Deferred with the answer to :data:`SNAPSHOT`.
    :param passed: given what passes at once, in a list.
    :param failed: told when there is no answer.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        look: Callable[[], Deferred[str]],
        passed: Callable[[list[T]], object],
        failed: Callable[[Failure], object],
    ) -> None:
        self._reactor = reactor
        self._now = monotonic_of(reactor)
        self._look = look
        self._passed = passed
        self._failed = failed
        self._held: list[tuple[int, T]] = []
        self._looking = False
        self._closed = False
        self._next: IDelayedCall | None = None
        self._due = self._not_before = float("-inf")
        self._pause = _PAUSE

    def when_seen(self, number: int, thing: T) -> None:
        """Let a thing pass once this transaction is seen; for number 0, which is none, at once."""
        if self._closed:
            return
        if number == 0:
            self._passed([thing])
            return
        self._held.append((number, thing))
        self._pause = _PAUSE
        self._look_soon()

    def close(self) -> None:
        """Let nothing pass any more."""
        self._closed = True
        self._held.clear()
        self._cancel()

    def _look_soon(self, pause: float = 0.0) -> None:
        if self._looking:
            return
        now = self._now()
        due = max(now + pause, self._not_before)
        if self._next is not None and self._due <= due:
            return
        self._cancel()
        if due <= now:
            self._ask()
        else:
            self._due = due
            self._next = self._reactor.callLater(due - now, self._ask)

    def _ask(self) -> None:
        self._next = None
        self._looking = True
        asked, now = self._held[:], self._now()
        self._look().addCallback(self._seen, asked, now).addErrback(self._fail)

    def _seen(self, text: str, asked: list[tuple[int, T]], since: float) -> None:
        self._looking = False
        now = self._now()
        self._not_before = now + min(_SHARE * (now - since), _LONGEST_REST)
        if self._closed:
            return
        sees = Snapshot.read(text).sees
        unseen = [entry for entry in asked if not sees(entry[0])]
        seen = [thing for number, thing in asked if not unseen or sees(number)]
        came_since = self._held[len(asked) :]
        self._held = unseen + came_since
        if seen:
            self._passed(seen)
        self._look_again(bool(came_since))

    def _look_again(self, came_since: bool) -> None:
        if self._held and not self._looking and not self._closed:
            if came_since:
                self._look_soon()
            else:
                self._look_soon(self._pause)
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _fail(self, failure: Failure) -> None:
        self._looking = False
        if not self._closed:
            self._failed(failure)

    def _cancel(self) -> None:
        call, self._next = self._next, None
        if call is not None and call.active():
            call.cancel()
