"""
Two sessions with one server, which end together.

One reads the log and can be asked nothing. The other, its companion, is asked about tables, about
what the server keeps of the log, and whether others see already what the log has told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txdoorbell.clocks import monotonic_of
from txdoorbell.listening.connector import Connector, Timing
from txdoorbell.listening.heartbeat import Heartbeat
from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.session import DatabaseError, SessionEnded
from txdoorbell.notification import quote_identifier
from txdoorbell.walreading.changes import Table
from txdoorbell.walreading.companion import Companion
from txdoorbell.walreading.plan import MESSAGES_SINCE, Trouble, advice
from txdoorbell.walreading.publisher import Prepared, Publisher
from txdoorbell.walreading.replication import ReplicationSession
from txdoorbell.walreading.slot import RETAINED, make_slot
from txdoorbell.walreading.visibility import SNAPSHOT, Snapshot

__all__ = ["Gauge", "Pair"]

_KEEP = "select pg_catalog.set_config('wal_sender_timeout', '30s', false)"
"""A process that stands still holds back the log, and the server's end, for so long at most."""

_LOCK = "select pg_catalog.set_config('lock_timeout', %s, false)"
"""No statement of ours waits for a lock longer than we wait for the statement."""

_NEXT_NUMBER = "select pg_catalog.pg_current_xact_id()"
"""A snapshot names no transaction that is newer than the last one to end: so one ends."""


@dataclass
class Gauge:
    """
    What is measured of the log.

    :ivar retained_bytes: how much of it the server kept for us at the last probe; None while there
        is no session.
    """

    retained_bytes: int | None = None


class Pair:
    """
    Both sessions: not connected yet.

    :param publisher: sees to it that tables are published.
    :param lost: called once, with the reason in one line, when either ends other than by
        :meth:`close`; the other one is closed by then.
    :param hold: while it returns true, no heartbeat is sent.
    :param streaming: whether large transactions are to be sent while they are open.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        connector: Connector,
        timing: Timing,
        publisher: Publisher,
        gauge: Gauge,
        lost: Callable[[str], None],
        hold: Callable[[], bool],
        *,
        streaming: bool,
    ) -> None:
        self._reactor = reactor
        self._connector = connector
        self._now = monotonic_of(reactor)
        self._within = timing.query_timeout
        self._publisher = publisher
        self._gauge = gauge
        self._lost = lost
        self._streaming = streaming
        self._slot = ""
        self._over = False
        self.reader = connector.session_of(ReplicationSession, self._ended)
        self.companion = connector.session_of(Companion, self._ended)
        beat = timing.heartbeat, timing.heartbeat_timeout, hold
        self._heartbeats = (
            Heartbeat(reactor, self.reader, *beat, self.reader.beat),
            Heartbeat(reactor, self.companion, *beat),
        )
        self.prepared: Prepared | None = None

    @property
    def has_messages(self) -> bool:
        """Whether the server decodes messages: from PostgreSQL 14 on."""
        return self.prepared is not None and self.prepared.facts.version >= MESSAGES_SINCE

    def __str__(self) -> str:
        return f"{self.reader.peer}, backend {self.reader.backend_pid}, slot {self._slot}"

    async def open(self, tables: frozenset[Table]) -> Prepared:
        """
        Connect, see to it that these tables are published, and make a slot.

        :raises Trouble: when that can't be, in words.
        :raises SessionEnded: when a session did not last.
        """
        await self._connector.connect(self.companion)
        await self._connector.set_up(self.companion)
        await self.companion.query(_LOCK, [f"{self._within * 800:.0f}ms"], within=self._within)
        prepared = await self.prepare(tables)
        try:
            await self._connector.connect(self.reader)
            await self._connector.set_up(self.reader)
            await self.reader.query(_KEEP, within=self._within)
            self._slot = await make_slot(self._reactor, self.reader, self.companion, self._within)
        except (DatabaseError, SessionEnded) as error:
            raise Trouble(advice(one_line(error), prepared.facts)) from None
        await self.measure()
        return prepared

    async def prepare(self, tables: frozenset[Table]) -> Prepared:
        """
        See to it that these tables are published.

        :raises Trouble: when they can't be, in words.
        :raises SessionEnded: when they are, but not where this session reads.
        """
        before = self.prepared
        prepared = await self._publisher.prepare(self.companion, tables)
        if before is not None and before.publications != prepared.publications:
            raise SessionEnded(f"publications to read from: {', '.join(prepared.publications)}")
        self.prepared = prepared
        return prepared

    async def stream(self, prepared: Prepared, feed: Callable[[bytes], object]) -> None:
        """Begin to read; each message goes to ``feed``, at once."""
        names = ",".join(map(quote_identifier, prepared.publications))
        options = {"proto_version": "1", "publication_names": names}
        if self.has_messages:
            options["messages"] = "true"
            if self._streaming:
                options |= {"proto_version": "2", "streaming": "on"}
        await self.reader.stream(self._slot, options, feed, within=self._within)
        for heartbeat in self._heartbeats:
            heartbeat.start()

    async def measure(self) -> None:
        """
        Find out how much of the log is kept for us.

        :raises SessionEnded: when the companion knows no such slot.
        """
        rows = await self.companion.query(RETAINED, [self._slot], within=self._within)
        if not rows:
            raise SessionEnded(f"slot {self._slot} is not there: do two servers answer?")
        [(self._gauge.retained_bytes,)] = rows

    def look(self) -> Deferred[str]:
        """Ask which transactions others see; see :class:`txdoorbell.walreading.visibility.Gate`."""
        return self.companion.look(SNAPSHOT, within=self._within)

    async def open_transactions(self) -> frozenset[int]:
        """
        Ask for the numbers of the transactions that others don't see yet.

        Some may be committed in the log already, before the part of it that is read: they wait for
        the disk, or for a standby.

        :raises SessionEnded: when the companion did not last.
        """
        await self.companion.query(_NEXT_NUMBER, within=self._within)
        return Snapshot.read(await self.look()).in_progress

    def beat(self) -> Deferred[float]:
        """
        Ask the server for a keepalive.

        :returns: a fresh Deferred with the seconds that it takes; fails with :exc:`SessionEnded`.
        """
        begun = self._now()
        return self.reader.beat(self._within).addCallback(lambda _: self._now() - begun)

    def end(self, reason: str) -> None:
        """End both for a reason, which ``lost`` is told; nothing when they have ended."""
        self.companion.end(reason)

    def _ended(self, reason: str) -> None:
        # Those who waited for one of them may have ended the other before this.
        if not self._over:
            self.close()
            self._lost(reason)

    def close(self) -> None:
        """End both, and tell nobody; nothing when they have ended."""
        self._over = True
        for heartbeat in self._heartbeats:
            heartbeat.stop()
        self.companion.close()
        self.reader.close()
        self._gauge.retained_bytes = None
