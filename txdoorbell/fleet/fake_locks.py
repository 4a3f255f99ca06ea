"""The locks of a server that isn't there, for tests; published by :mod:`txdoorbell.testing`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txdoorbell.fleet.locking import (
    RELEASE_CHANNEL,
    Answer,
    Denied,
    Granted,
    Holder,
    Lease,
    LockAudience,
    Passed,
)
from txdoorbell.notification import State


class FakeLocks:
    """
    The advisory locks of one server, for :class:`~txdoorbell.testing.FakeListener`.

    Give the same one to several listeners: they are the hosts of a fleet then.

    :ivar numbered: whether there is a table of leases. Without it a lease has no number.
    """

    def __init__(self) -> None:
        self.numbered = True
        self._holders: dict[str, tuple[FakeLockSession, Lease]] = {}
        self._numbers: Counter[str] = Counter()
        self._standing: dict[FakeLockSession, frozenset[str]] = {}
        self.releases: list[Callable[[str, str], object]] = []

    def holder(self, name: str) -> Lease | None:
        """Return the lease by which a lock is held; None while it is free."""
        held = self._holders.get(name)
        return None if held is None else held[1]

    def holds(self, session: FakeLockSession, name: str) -> bool:
        """Say whether a session holds a lock."""
        return name in self._holders and self._holders[name][0] is session

    def take(self, session: FakeLockSession, name: str, host: str, now: float) -> Answer:
        """Let a session try for a lock."""
        held = self.holder(name)
        if held is not None:
            return Denied(Holder(held.host, held.pid, held.since, held.number))
        self._numbers[name] += 1
        number = self._numbers[name] if self.numbered else None
        lease = Lease(name, number, now, host, os.getpid())
        self._holders[name] = session, lease
        return Granted(lease)

    def stand(self, session: FakeLockSession, names: Iterable[str]) -> None:
        """Let a session stand for these locks, and no others."""
        self._standing[session] = frozenset(names)

    def standbys(self, name: str) -> int | None:
        """Return how many sessions stand by for a lock; None while it is free."""
        if name not in self._holders:
            return None
        holder, _ = self._holders[name]
        return sum(name in names for one, names in self._standing.items() if one is not holder)

    def free(self, session: FakeLockSession, name: str | None = None) -> None:
        """Free a lock that a session holds; None: all that it holds."""
        for held in list(self._holders) if name is None else [name]:
            if self.holds(session, held):
                del self._holders[held]

    def say_free(self, name: str) -> None:
        """Say to all hosts that a lock was given back."""
        for deliver in list(self.releases):
            deliver(RELEASE_CHANNEL, name)


class FakeLockSession:
    """One session of a fake listener, on which locks are held until it ends."""

    def __init__(
        self,
        locks: FakeLocks,
        host: str,
        refusal: str | None,
        now: Callable[[], float],
        later: Callable[[Callable[[], object]], None],
        room: Callable[[], int | None],
    ) -> None:
        self.refusal = refusal
        self._room = room
        self._locks = locks
        self._host = host
        self._now = now
        self._later = later
        self._open = True
        self._tries: dict[str, Deferred[Answer]] = {}

    def holds(self, name: str) -> bool:
        """Say whether it holds a lock."""
        return self._open and self._locks.holds(self, name)

    def stand_for(self, names: Iterable[str]) -> None:
        """Stand for locks."""
        self._locks.stand(self, names)

    def outdated(self, name: str) -> None:
        """Know that a lock was given back; here nothing is kept that could be old."""

    def standbys(self, name: str) -> int | None:
        """Return how many stand by for a lock."""
        return self._locks.standbys(name)

    def try_for(self, name: str) -> Deferred[Answer]:
        """Try for a lock, if there is room for one more; the answers come in the next turn."""
        if not self._tries:
            self._later(self._try_all)
        answer = self._tries[name] = Deferred()
        return answer

    def _try_all(self) -> None:
        tries, self._tries = self._tries, {}
        if not self._open:
            for asked in tries.values():
                asked.errback(ConnectionError("the session has ended"))
            return
        answers = self._answers(tries, self._room())
        for asked, answer in zip(tries.values(), answers, strict=True):
            asked.callback(answer)

    def _answers(self, names: Iterable[str], room: int | None) -> list[Answer]:
        answers: list[Answer] = []
        got = 0
        for name in names:
            if got == room:
                answers.append(Passed())
                continue
            answers.append(self._locks.take(self, name, self._host, self._now()))
            got += isinstance(answers[-1], Granted)
        return answers

    def give_back(self, name: str) -> Deferred[None]:
        """Free a lock in the next turn, and say so to all hosts."""
        return self._ask(lambda: self._give_back(name))

    def _give_back(self, name: str) -> None:
        self._locks.free(self, name)
        self._locks.say_free(name)

    def _ask(self, do: Callable[[], Any]) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()

        def reply() -> None:
            if self._open:
                answer.callback(do())
            else:
                answer.errback(ConnectionError("the session has ended"))

        self._later(reply)
        return answer

    def end(self) -> None:
        """End: what it holds is free."""
        self._open = False
        self._locks.stand(self, ())
        self._locks.free(self)


class FakeLockSource:
    """
    The part of a fake listener that has to do with locks.

    :ivar host: what leases call the host that it seems to be on.
    :ivar locks: the locks of its server.
    """

    _state: State
    _reactor: IReactorTime

    def __init__(self, host: str, locks: FakeLocks) -> None:
        super().__init__()
        self.host = host
        self.locks = locks
        locks.releases.append(self.deliver)
        self._lock_audience: LockAudience | None = None
        self._lock_session: FakeLockSession | None = None
        self._lock_refusal: str | None = None

    def deliver(self, channel: str, payload: str = "", pid: int = 0) -> bool:
        """Notify."""
        raise NotImplementedError

    def _later(self, step: Callable[[], object]) -> None:
        raise NotImplementedError

    def refuse_locks(self, reason: str) -> None:
        """Let no lock be held on sessions from now on, as behind a pooler."""
        self._lock_refusal = reason

    def undo_lock(self, name: str) -> None:
        """
        Lose a lock on a session that lives on, as DISCARD ALL makes it.

        :raises AssertionError: when this listener doesn't hold it.
        """
        session, audience = self._lock_session, self._lock_audience
        if session is None or audience is None or not session.holds(name):
            raise AssertionError(f"lock {name!r} is not held by this listener")
        self.locks.free(session, name)
        self._later(lambda: audience.undone(name))

    def serve_locks(self, audience: LockAudience, interval: float) -> None:
        """Take whom to tell of sessions on which locks can be held."""
        self._lock_audience = audience
        if self._state is State.LISTENING:
            self._open_lock_session()

    def _open_lock_session(self) -> None:
        audience = self._lock_audience
        if audience is not None:
            session = FakeLockSession(
                self.locks,
                self.host,
                self._lock_refusal,
                self._reactor.seconds,
                self._later,
                audience.room,
            )
            self._lock_session = session
            self._later(lambda: audience.opened(session))

    def _close_lock_session(self, reason: str) -> None:
        session, self._lock_session = self._lock_session, None
        audience = self._lock_audience
        if session is not None and audience is not None:
            session.end()
            self._later(lambda: audience.closed(reason))
