"""
The watch on PostgreSQL's notification queue: who holds it back, before it is full.

The server keeps each notification until every session that listens to anything has read past it. A
session that stays in a transaction, or whose client doesn't read, holds all of them back; once the
queue is full, every COMMIT that notifies fails, and what it wrote is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["THRESHOLD", "QueueWatch", "Suspect", "WatchedSession", "named_pid", "warning"]

THRESHOLD = 0.25
"""How full the queue may be, from 0 to 1, before somebody is warned."""

NEARLY_FULL = 0.9
"""How full it must be for a last warning."""

SUSPECTS = """
select pid, application_name, usename, datname,
    state = 'idle' and wait_event = 'ClientWrite',
    extract(epoch from pg_catalog.clock_timestamp() - xact_start)::pg_catalog.float8
from pg_catalog.pg_stat_activity
where pid = %s or (
    pid <> pg_catalog.pg_backend_pid() and backend_type = 'client backend'
    and (xact_start is not null or (state = 'idle' and wait_event = 'ClientWrite')))
order by pid = %s desc, state = 'idle' desc, xact_start
limit 3
"""
"""The session that the server itself has named, twice a parameter, and those likely to be to blame.
Who listens isn't shown to others. An idle one that waits for its client to read is being notified;
of the rest, the oldest transaction is the likeliest."""


class Suspect(NamedTuple):
    """
    A session that may hold the queue back.

    :ivar unread: whether its client doesn't read what it is sent; None when that isn't shown to us.
    :ivar open_for: seconds for which its transaction has been open; None when there is none, or
        that isn't shown to us.
    """

    pid: int
    application_name: str
    user: str | None
    database: str | None
    unread: bool | None
    open_for: float | None

    def __str__(self) -> str:
        text = (
            f"pid {self.pid} (application_name {self.application_name!r}, user {self.user},"
            f" database {self.database})"
        )
        if self.unread:
            return f"{text}, whose client does not read what it is sent"
        if self.open_for is not None:
            return f"{text}, whose transaction has been open for {self.open_for:.0f} s"
        return text


class WatchedSession(Protocol):
    """What is needed of a session that isn't the listening one."""

    @property
    def notices(self) -> Sequence[str]:
        """What the server has remarked so far."""

    def query(
        self, sql: str, values: Sequence[object] | None = None, *, within: float
    ) -> Deferred[list[tuple[Any, ...]]]:
        """Run one query; the session is ended when it isn't answered within these seconds."""

    def close(self) -> None:
        """End the session."""


def named_pid(notices: Iterable[str]) -> int | None:
    """
    Return the process id that the server's own warning about the queue names.

    From half full on, some senders are given that warning. It is exact, and for everybody's eyes.

    :returns: None when there is no such warning.
    """
    for notice in notices:
        found = re.search(r"\bPID\D{0,3}(\d+)", notice) if "NOTIFY" in notice else None
        if found:
            return int(found[1])
    return None


def warning(usage: float, suspects: Sequence[Suspect] | None, named: int | None = None) -> str:
    """
    Put into words who holds the queue back.

    :param usage: how full it is, from 0 to 1.
    :param suspects: the likeliest first; None when the server didn't say.
    :param named: the pid that the server itself has named, if it has.
    """
    text = (
        f"the notification queue of PostgreSQL is {usage:.0%} full; once it is full, every COMMIT"
        " that notifies fails"
    )
    if named is not None:
        known = [suspect for suspect in suspects or () if suspect.pid == named]
        return f"{text}. It is held back by {known[0] if known else f'pid {named}'}"
    if suspects is None:
        return f"{text}. Who holds it back could not be found out"
    likely = "; or by ".join(map(str, suspects)) or "none: pg_read_all_stats sees them all"
    return (
        f"{text}. It is held back by a session that listens;"
        f" of those shown to this role, most likely by {likely}"
    )


class QueueWatch:
    """
    Warns when the queue fills up, with the name of who holds it back; and once it has recovered.

    There is a warning when the queue is fuller than :data:`THRESHOLD`, when it is twice as full as
    at the last warning, and when it is nearly full. It has recovered at half of that threshold.

    :param timeout: seconds in which the server must say whom to suspect.
    """

    log = Logger()

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._session: WatchedSession | None = None
        self._limit = THRESHOLD

    def look(self, usage: float, session: WatchedSession) -> None:
        """
        Take note of how full the queue is, and ask who is to blame if it is too full.

        :param usage: from 0 to 1.
        :param session: is closed, at once or when it has been asked.
        """
        self.stop()
        if usage > self._limit:
            self._session = session
            named = named_pid(session.notices)
            asked = session.query(SUSPECTS, [named or 0] * 2, within=self._timeout)
            asked.addBoth(self._looked, session, usage, named)
            return
        session.close()
        if self._limit > THRESHOLD and usage <= THRESHOLD / 2:
            self._limit = THRESHOLD
            self.log.info(
                "the notification queue of PostgreSQL has been emptied: {usage} full",
                usage=f"{usage:.0%}",
            )

    def stop(self) -> None:
        """Close the session that is being asked, if there is one, and say nothing of it."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _looked(
        self,
        rows: list[tuple[Any, ...]] | Failure,
        session: WatchedSession,
        usage: float,
        named: int | None,
    ) -> None:
        if session is not self._session:
            return
        self.stop()
        suspects = None if isinstance(rows, Failure) else [Suspect(*row) for row in rows]
        self._limit = 2 * usage if usage > NEARLY_FULL else min(2 * usage, NEARLY_FULL)
        self.log.warn("{text}", text=warning(usage, suspects, named))
