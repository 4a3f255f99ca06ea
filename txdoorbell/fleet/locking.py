"""
Locks as a fleet sees them: the border between those who hold loops by them and a source's sessions.

A lock lives on a session and dies with it. :class:`LockSource` is a source whose sessions can hold
locks, :class:`LockSession` one of these sessions, :class:`LockAudience` whom the source tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from twisted.internet.defer import Deferred

__all__ = [
    "RELEASE_CHANNEL",
    "Answer",
    "Denied",
    "Granted",
    "Holder",
    "Lease",
    "LockAudience",
    "LockFailed",
    "LockSession",
    "LockSource",
    "Passed",
]

RELEASE_CHANNEL = "txdoorbell_released"
"""Where a holder says that it has given a lock back; the payload is the lock's name."""


@dataclass(frozen=True)
class Lease:
    """
    One holding of a lock, from taking it to losing it.

    :ivar name: the lock's.
    :ivar number: greater than that of every lease of this lock before; None without the table of
        leases (``txdoorbell sql --fleet --apply``).
    :ivar since: when it began, in epoch seconds.
    :ivar host: the name of the host that holds it.
    :ivar pid: the process id there.
    """

    name: str
    number: int | None
    since: float
    host: str
    pid: int

    def __int__(self) -> int:
        """
        Return the number, for use as a fencing token.

        :raises TypeError: when there is none.
        """
        if self.number is None:
            raise TypeError(
                f"the lease on {self.name!r} has no number: there is no table of leases; "
                "txdoorbell sql --fleet --apply creates it"
            )
        return self.number


class Holder(NamedTuple):
    """Who holds a lock, and how many others stand by for it: None for what isn't known."""

    host: str | None = None
    pid: int | None = None
    since: float | None = None
    number: int | None = None
    standbys: int | None = None

    def __str__(self) -> str:
        host = "a session that isn't shown" if self.host is None else f"host {self.host}"
        pid = "" if self.pid is None else f", pid {self.pid}"
        return f"{host}{pid}"


class Granted(NamedTuple):
    """The lock was got."""

    lease: Lease


class Denied(NamedTuple):
    """Another session holds the lock; ``holder`` is None when nobody asked who."""

    holder: Holder | None = None


class Passed(NamedTuple):
    """The lock was left alone: as many as were to be got had been got before its turn."""


Answer = Granted | Denied | Passed


class LockFailed(Exception):
    """A try came to nothing, though the session lives; the text is one line."""


@runtime_checkable  # automat checks what a state keeps
class LockSession(Protocol):
    """A live session, on which locks are tried for. What it holds is free when it ends."""

    @property
    def refusal(self) -> str | None:
        """Why no lock can be held on it, in words; None where one can."""

    def holds(self, name: str) -> bool:
        """
        Say whether a lock is held on it, for certain: its server can't have freed it yet.

        It ends the session when that isn't certain any more.
        """

    def stand_for(self, names: Iterable[str]) -> None:
        """Learn for which locks it will be tried, held ones included: others may count that."""

    def outdated(self, name: str) -> None:
        """Learn that a lock's holder has given it back: who it was is of no use any more."""

    def standbys(self, name: str) -> int | None:
        """Return how many others stand by for a lock, as of some time ago; None: not known."""

    def try_for(self, name: str) -> Deferred[Answer]:
        """
        Try for a lock, once; never waits for whoever has it.

        Those that are tried for in one turn of the reactor are tried for in that order.

        :returns: fails with :exc:`LockFailed` when it came to nothing, with any other error when
            the session ended.
        """

    def give_back(self, name: str) -> Deferred[None]:
        """Free a lock, or nothing if it isn't held, and say so on :data:`RELEASE_CHANNEL`."""


class LockAudience(Protocol):
    """Whom a source tells about its sessions, from the reactor, never from inside a call."""

    def room(self) -> int | None:
        """
        Return how many locks may be got now; None for any number.

        Asked once before each time that the server is tried, from inside nothing of this process.
        """

    def opened(self, session: LockSession) -> None:
        """Learn that there is a session."""

    def closed(self, reason: str) -> None:
        """Learn that the session has ended, and with it every lock that was held on it."""

    def undone(self, name: str) -> None:
        """Learn that the session lives on, but does not hold a lock any more."""


@runtime_checkable
class LockSource(Protocol):
    """A :class:`~txdoorbell.notification.Source` whose sessions can hold locks."""

    @property
    def host(self) -> str:
        """What leases call this host."""

    def serve_locks(self, audience: LockAudience, interval: float) -> None:
        """
        Make each session fit for locks, from now on: the one that there is, too.

        :param interval: seconds between two questions to the server, at the most; after three times
            as long without one it ends the session.
        """
