"""
The second bell: rung by the write-ahead log, at no cost to those who write.

This is its face. What it does is in :mod:`txdoorbell.walreading.reading` (one session), and in
:mod:`txdoorbell.listening.lifecycle` (its states, which are the listener's).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from txdoorbell.listening.backoff import backoff_policy
from txdoorbell.listening.source import SessionSource, several_channels
from txdoorbell.notification import (
    Hearable,
)
from txdoorbell.walreading.changes import OPERATIONS, PREFIX, Table, TableChange, check_tables

if TYPE_CHECKING:
    from txdoorbell.listening.lifecycle import Life
    from txdoorbell.walreading.reading import LogSession
    from txdoorbell.walreading.ringer import LogRinger

__all__ = ["OPERATIONS", "PREFIX", "Table", "TableChange", "WalSource", "check_tables"]

_BACKOFF = backoff_policy()


class WalSource(SessionSource):
    """
    A :class:`txdoorbell.notification.Source` that reads the write-ahead log by logical decoding.

    It hears of each change of its tables, as a :class:`TableChange`, once others can see it: one
    for each table and operation, however many rows a transaction had, and one for all transactions
    that come to be seen at the same time. And it hears messages, as notifications: what
    ``pg_logical_emit_message(true, 'txdoorbell:CHANNEL', PAYLOAD)`` has written to a channel that
    it wants. Nobody needs a trigger, nor NOTIFY.

    It reads from a temporary slot, which ends with its session: so nothing is kept for it while it
    isn't there, and on each new session everything is to run once. From then on, whatever is
    committed is heard. What it has read it confirms at once: nobody's function is waited for. Only
    a blocked reactor is: the server keeps the log, and when it is being stopped waits, for 30 s.

    Its states, log lines and delays are those of :class:`txdoorbell.listener.Listener`. What it
    lacks, it makes if its role may, which is a publication and the tables in it; else, and for
    ``wal_level``, REPLICATION, slots and senders, its :attr:`reason` says what is to be run.

    A table without a primary key, or another replica identity, rings for inserts and truncates
    only, with a warning. A truncate of a partition by itself does not ring. A transaction that was
    writing when a session is made delays the hearing until it has ended, with a warning.

    :param dsn: as for the listener; PostgreSQL 13 or later, for messages 14.
    :param tables: one or several, as for :meth:`set_tables`.
    :param channels: the channels wanted at first, as for :meth:`set_channels`.
    :param publication: from which it reads, and which it makes; a second one, with ``_inserts``
        appended, has tables whose updates and deletes can't be published. Others may share both.
    :param streaming: whether the server sends a large transaction while it is open, in place of
        keeping it on disk until its commit.
    :param connect_timeout: seconds for connecting, looking up names included.
    :param query_timeout: seconds for each query.
    :param heartbeat: seconds of silence after which the server is asked for a keepalive; 0: never.
    :param heartbeat_timeout: seconds in which it must answer.
    :param probe_interval: seconds between two probes; 0 for only one per session.
    :param probe_timeout: seconds in which a probe must be sent, and again for it to be heard.
    :param backoff: from the number of failures in a row to the seconds until the next attempt.
    :param name: what the log calls it, and its name as a service; None for "wal" and no name.
    :raises ValueError: for a DSN, table, channel, publication or number of seconds that can't be.
    :raises DriverMissing: without psycopg2 or txpostgres.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        dsn: str = "",
        *,
        tables: str | Iterable[str] = (),
        channels: Iterable[str] = (),
        publication: str = "txdoorbell",
        streaming: bool = False,
        connect_timeout: float = 10.0,
        query_timeout: float = 5.0,
        heartbeat: float = 10.0,
        heartbeat_timeout: float = 5.0,
        probe_interval: float = 60.0,
        probe_timeout: float = 5.0,
        backoff: Callable[[int], float] = _BACKOFF,
        name: str | None = None,
    ) -> None:
        from txdoorbell.walreading.pair import Gauge
        from txdoorbell.walreading.plan import check_publication
        from txdoorbell.walreading.publisher import Publisher

        beats = heartbeat, heartbeat_timeout, probe_interval, probe_timeout
        seconds = connect_timeout, query_timeout, *beats
        super().__init__(reactor, dsn, seconds, backoff, name, "wal")
        self._streaming = streaming
        self._warned: set[str] = set()
        self._publisher = Publisher(check_publication(publication), query_timeout, self._warn)
        self._gauge = Gauge()
        self._channels: frozenset[str] = frozenset()
        self.set_tables(tables)
        self.set_channels(channels)

    @property
    def channels(self) -> frozenset[str]:
        """The channels that are wanted."""
        return self._channels

    @property
    def tables(self) -> frozenset[Table]:
        """The tables that are wanted."""
        return self._tables

    @property
    def retained_bytes(self) -> int | None:
        """
        How much of the log the server kept for this source at the last probe; None unless it reads.

        Transactions that are open keep it as well, their own part of it.
        """
        return self._gauge.retained_bytes

    def set_channels(self, channels: Iterable[str]) -> None:
        """
        Want messages to these channels and no others, on the live session.

        :raises TypeError: for a name that is no str, and for a str in place of several names.
        :raises ValueError: for a name that PostgreSQL would not take; then nothing is changed.
        """
        self._channels = several_channels(channels)
        self._life.want(self._channels | self._tables)

    def set_tables(self, tables: str | Iterable[str]) -> None:
        """
        Want the changes of these tables and no others, on the live session.

        :param tables: names as SQL has them: ``jobs``, ``shop.jobs``, ``"My Shop"."Job"``. One
            without a schema is looked up by the search path when the session is made. A
            partitioned table, or one with heirs, is all of its parts.
        :raises TypeError: for a name that is no str.
        :raises ValueError: for text that is no name; then nothing is changed.
        """
        self._tables: frozenset[Table] = check_tables(tables)
        self._life.want(self._channels | self._tables)

    def _warn(self, text: str) -> None:
        """Warn of something once, however often it is seen."""
        if text not in self._warned:
            self._warned.add(text)
            self.log.warn("{source}: {text}", source=self, text=text)

    def _new_ringer(self) -> LogRinger:
        from txdoorbell.walreading.ringer import LogRinger

        return LogRinger(self._reactor, self._connector, self._timing.query_timeout)

    def _open_session(self, life: Life, wanted: frozenset[str]) -> LogSession:
        from txdoorbell.walreading.reading import LogSession

        audience = self._core.audience
        return LogSession(
            self._reactor,
            self._connector,
            self._timing,
            self._backoff,
            self._announcer,
            self._publisher,
            self._gauge,
            _nobody if audience is None else audience.notified,
            wanted,
            life,
            streaming=self._streaming,
        )


def _nobody(hearable: Hearable) -> None:
    """Hear it for nobody."""
