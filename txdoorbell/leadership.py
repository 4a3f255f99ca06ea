"""
A fleet: many hosts, each loop in one place.

A loop with a lock runs only while this process holds the PostgreSQL advisory lock of that name. The
lock is held on the listening session itself, so that hearing and holding end together; who tries
when is decided in :mod:`txdoorbell.fleet.policy`, and what becomes of one lock in
:mod:`txdoorbell.fleet.election`.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import random
from typing import NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txdoorbell.fleet.candidate import Candidate, Stage
from txdoorbell.fleet.election import Election, new_election
from txdoorbell.fleet.keys import LOCK_CLASS, lock_key
from txdoorbell.fleet.locking import RELEASE_CHANNEL, Lease, LockSession, LockSource
from txdoorbell.fleet.policy import GROWTH, Placement, weight
from txdoorbell.loops.loopbase import LoopBase
from txdoorbell.notification import Hearable, Source
from txdoorbell.status import LoopStatus
from txdoorbell.switchboard import Switchboard

__all__ = ["LOCK_CLASS", "RELEASE_CHANNEL", "RELEASE_TIMEOUT", "Leadership", "Lease", "lock_key"]

RELEASE_TIMEOUT = 0.5
"""Seconds in which a lock must be given back in order; after that its session is just ended."""

_TAKEN = (Stage.HOLDING, Stage.RELEASING)


class _Entry(NamedTuple):
    candidate: Candidate
    election: Election


class Leadership:
    """
    The locks that one doorbell's loops need; the :class:`~txdoorbell.fleet.locking.LockAudience`.

    :param source: whose sessions hold them.
    :param switchboard: asked for the channel on which locks are said to be free; only when there
        are locks.
    :param interval: seconds between two tries for a lock whose holder may have died, at the most.
    :param max_loops: how many locks this process holds at the most; None for any number.
    :param chance: returns a random number from 0 to less than 1.
    :param hosts: how many hosts there are, roughly; None for not many.
    :raises ValueError: for an interval or a number that can't be.
    """

    def __init__(
        self,
        clock: IReactorTime,
        source: Source,
        switchboard: Switchboard,
        interval: float,
        max_loops: int | None,
        chance: Callable[[], float] = random,
        hosts: int | None = None,
    ) -> None:
        self._clock = clock
        self._source = source
        self._switchboard = switchboard
        host = str(getattr(source, "host", "")) or "unknown"
        self._placement = Placement(host, interval, max_loops, hosts, chance)
        self._entries: dict[str, _Entry] = {}
        self._ranked: list[_Entry] = []
        self._names: dict[tuple[int, int], str] = {}
        self._session: LockSession | None = None
        self._running = False
        self._round: IDelayedCall | None = None
        self._further: IDelayedCall | None = None
        self._share = 1
        self._at_once: int | None = None

    # -- what the doorbell asks

    def add(self, loop: LoopBase, name: str) -> None:
        """
        Let a loop run only while a lock is held. Several loops may need the same one.

        :raises TypeError: for a name that is no str, or a source that can't hold locks.
        :raises ValueError: for a name that can't be, or one whose key is another lock's.
        """
        key = lock_key(name)
        known = self._names.setdefault(key, name)
        if known != name:
            raise ValueError(f"locks {known!r} and {name!r} have the same key {key}: rename one")
        if not isinstance(self._source, LockSource):
            raise TypeError(f"{self._source!r} can't hold locks: lock={name!r} needs a Listener")
        if not self._entries:
            self._switchboard.observe(self._heard, RELEASE_CHANNEL)
            self._source.serve_locks(self, self._placement.lock_interval)
        entry = self._entries.get(name) or self._new(name)
        entry.candidate.take_in(loop)

    def _new(self, name: str) -> _Entry:
        candidate = Candidate(
            self._clock,
            name,
            lambda: self._placement.wait(name, self._taken),
            lambda: self._placement.first_wait(name, self._taken),
            lambda: self._placement.prefers(name),
            self._has_room,
            self._go_on,
        )
        entry = self._entries[name] = _Entry(candidate, new_election(candidate))
        insort(self._ranked, entry, key=self._rank)
        if self._running:
            self._begin(entry)
            self._stand()
        return entry

    def _rank(self, entry: _Entry) -> float:
        """Return by what the locks are ordered: the one that this host likes best comes first."""
        return -weight(self._placement.host, entry.candidate.name)

    def start(self) -> None:
        """Begin to try for the locks."""
        self._running = True
        for entry in self._entries.values():
            self._begin(entry)
        self._stand()
        if self._session is not None:
            self._next_round(self._placement.until_first_round())

    def stop(self) -> None:
        """Try for no lock any more; those that are held are given back by :meth:`give_back`."""
        self._running = False
        self._stand()
        self._stop_rounds()
        for entry in self._entries.values():
            if entry.candidate.stage is not Stage.HOLDING:
                self._resign(entry)

    def give_back(self, loop: LoopBase) -> Deferred[None]:
        """
        Give the lock of a loop back that has stopped, unless another one needs it.

        One whose function has been left behind keeps its lock, till the session ends.

        :returns: fires when it is free, or :data:`RELEASE_TIMEOUT` has passed.
        """
        entry = self._entry_of(loop)
        if entry is None or any(one.running or one.active for one in entry.candidate.loops):
            return succeed(None)
        given_back = self._resign(entry)
        return given_back.addTimeout(RELEASE_TIMEOUT, self._clock, lambda *_: None)

    def status(self, loop: LoopBase) -> LoopStatus:
        """Return a loop's status, with that of its lock."""
        entry, status = self._entry_of(loop), loop.status()
        return status if entry is None else replace(status, lock=entry.candidate.status())

    def look(self) -> None:
        """See now whether what is held is still safe: the machine may have been suspended."""
        for name, entry in self._entries.items():
            if self._session is not None and entry.candidate.stage is Stage.HOLDING:
                self._session.holds(name)

    def refusals(self) -> Iterable[str]:
        """Return why locks are refused, in words; none when they aren't."""
        return [
            f"lock {name!r} is refused: {entry.candidate.reason}"
            for name, entry in self._entries.items()
            if entry.candidate.stage is Stage.REFUSED
        ]

    def _entry_of(self, loop: LoopBase) -> _Entry | None:
        return next((e for e in self._entries.values() if loop in e.candidate.loops), None)

    # -- what the source tells

    def opened(self, session: LockSession) -> None:
        """Try for what is wanted on a new session, each when it is this host's turn."""
        self._session = session
        for entry in self._entries.values():
            self._introduce(entry)
        self._stand()
        self._next_round(self._placement.until_first_round())

    def closed(self, reason: str) -> None:
        """Suspend everything: what was held is lost."""
        self._session = None
        self._stop_rounds()
        for entry in self._entries.values():
            entry.candidate.session = None
            entry.election.closed(reason)
            entry.candidate.settle()

    def undone(self, name: str) -> None:
        """Suspend the loops of a lock that the session doesn't hold any more, and try anew."""
        if name in self._entries:
            self._entries[name].election.undone()
            self._entries[name].candidate.settle()

    def room(self) -> int | None:
        """Return how many locks may be got now: as many as fit, in a round no more than a share."""
        most, share = self._placement.max_loops, self._at_once
        self._at_once = None
        limits = [] if share is None else [share]
        if most is not None:
            limits.append(max(0, most - self._taken))
        return min(limits, default=None)

    def _heard(self, notification: Hearable) -> None:
        entry = self._entries.get(notification.payload)
        if entry is not None:
            if self._session is not None:
                self._session.outdated(notification.payload)
            entry.election.freed()

    # -- how

    def _begin(self, entry: _Entry) -> None:
        entry.election.begin()
        self._introduce(entry)

    def _introduce(self, entry: _Entry) -> None:
        session = entry.candidate.session = self._session
        if session is None:
            return
        if session.refusal is None:
            entry.election.opened()
        else:
            entry.election.refused(session.refusal)

    def _stand(self) -> None:
        if self._session is not None and self._session.refusal is None:
            self._session.stand_for(self._entries if self._running else ())

    def _resign(self, entry: _Entry) -> Deferred[None]:
        resigned = entry.election.resign()
        entry.candidate.settle()
        return resigned

    @property
    def _taken(self) -> int:
        return sum(entry.candidate.stage in _TAKEN for entry in self._entries.values())

    def _has_room(self) -> bool:
        return self._placement.has_room(self._taken)

    def _next_round(self, seconds: float) -> None:
        if self._round is not None and self._round.active():
            self._round.cancel()
        if self._running:
            self._round = self._clock.callLater(seconds, self._begin_round)

    def _stop_rounds(self) -> None:
        for call in (self._round, self._further):
            if call is not None and call.active():
                call.cancel()
        self._round = self._further = None

    def _begin_round(self) -> None:
        self._next_round(self._placement.until_next_round())
        if self._further is None:
            self._share = 1
            self._try_all()

    def _go_on(self) -> None:
        """Have one more round soon, since the one before left locks that may be free."""
        if self._further is None and self._running:
            self._further = self._clock.callLater(self._placement.head_start, self._begin_further)

    def _begin_further(self) -> None:
        self._further = None
        self._share *= GROWTH
        self._try_all()

    def _try_all(self) -> None:
        """Try for all; the session gets the share, the best liked ones first."""
        self._at_once = self._share
        for entry in self._ranked:
            if not self._has_room():
                entry.election.crowded()
            elif self._placement.tries(entry.candidate.name):
                entry.election.round()
