"""
A replication slot that ends with its session.

PostgreSQL can begin to decode only when every transaction has ended that was writing when the slot
was asked for. That may take as long as the longest of them, and nothing can be done about it but to
say whom it waits for.
"""

from __future__ import annotations

from secrets import token_hex

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txdoorbell.listening.session import Row, Session
from txdoorbell.walreading.replication import ReplicationSession

__all__ = ["RETAINED", "make_slot"]

_PATIENCE = 7 * 86400.0
"""Seconds that the longest transaction may take."""

_IDLE_LOOKS = 3
"""How often nobody may be seen to hold it up, until it is given up."""

_WAITS_FOR = """
select waiting.pid, blocking.pid, blocking.application_name, blocking.usename::text,
    extract(epoch from pg_catalog.clock_timestamp() - blocking.xact_start)::float8
from pg_catalog.pg_stat_activity as waiting
left join pg_catalog.pg_stat_activity as blocking
    on blocking.pid = any (pg_catalog.pg_blocking_pids(waiting.pid))
where waiting.pid = %s
"""

RETAINED = """
select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::bigint
from pg_catalog.pg_replication_slots where slot_name = %s
"""
"""How much of the log the server keeps for a slot, in bytes; no row where there is no such slot."""


class _Watch:
    """Says whom a slot waits for, and ends the session that asked for it when that is nobody."""

    log = Logger()

    def __init__(
        self, reactor: IReactorTime, asking: ReplicationSession, other: Session, interval: float
    ) -> None:
        self._reactor = reactor
        self._asking = asking
        self._other = other
        self._interval = interval
        self._said: set[int] = set()
        self._idle_looks = 0
        self._next: IDelayedCall | None = reactor.callLater(interval, self._look)

    def stop(self) -> None:
        """Look no more."""
        call, self._next = self._next, None
        if call is not None and call.active():
            call.cancel()

    def _look(self) -> None:
        pid = self._asking.backend_pid
        asked = self._other.query(_WAITS_FOR, [pid], within=self._interval)
        asked.addCallbacks(self._looked, self._failed)

    def _looked(self, rows: list[Row]) -> None:
        if self._next is None:
            return
        self._idle_looks = (
            0 if any(pid is not None for _, pid, *_ in rows) else self._idle_looks + 1
        )
        if not rows:
            self._asking.end("the server knows nothing of the session any more")
        elif self._idle_looks > _IDLE_LOOKS:
            self._asking.end("the slot is not made, though no transaction holds it up")
        else:
            self._warn(rows)
            self._next = self._reactor.callLater(self._interval, self._look)

    def _warn(self, rows: list[Row]) -> None:
        for _, pid, application, user, seconds in rows:
            if pid is not None and pid not in self._said:
                self._said.add(pid)
                self.log.warn(
                    "the write-ahead log can't be read before this transaction has ended: pid"
                    " {pid} (application_name {application!r}, user {user}), open for {age}",
                    pid=pid,
                    application=application,
                    user=user,
                    age="a while" if seconds is None else f"{seconds:.0f} s",
                )

    def _failed(self, failure: Failure) -> None:
        if self._next is not None:
            self._asking.end(f"nobody knows whether the slot is being made: {failure.value}")


async def make_slot(
    reactor: IReactorTime, session: ReplicationSession, other: Session, interval: float
) -> str:
    """
    Make a slot, however long that takes, and return its name.

    :param other: an ordinary session with the same server, which is asked meanwhile.
    :param interval: seconds between two questions; no answer in so many ends the session.
    :raises DatabaseError: when there is none to be had.
    :raises SessionEnded: when a session has ended, or there is no slot where the other one looks.
    """
    name = f"txdoorbell_{token_hex(8)}"
    watch = _Watch(reactor, session, other, interval)
    sql = f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT"
    made: Deferred[list[Row]] = session.query(sql, within=_PATIENCE)
    try:
        await made
    finally:
        watch.stop()
    return name
