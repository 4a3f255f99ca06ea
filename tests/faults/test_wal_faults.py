"""
The listener's tests of faults, once more: against the reader of the write-ahead log.

One contract, two back ends. The classes are those of the other modules, with another source.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import psycopg2

from tests.audience import RecordingAudience
from tests.faults import test_leaks, test_loss, test_refusal, test_stop
from tests.faults.case import PATIENT, address, through
from tests.faults.walcase import LogMixin
from tests.proxy import Proxy
from tests.servers import execute
from tests.waiting import in_time, wait_for
from txdoorbell.notification import State


class LogLossTests(LogMixin, test_loss.LossTests):
    """Sessions that end."""

    async def test_reader_terminated(self) -> None:
        """An administrator ends the session that reads the log: both are made anew."""
        listener, audience = await self.listening(self.dsn, **PATIENT)
        for _ in range(5):
            audience.listens.clear()
            execute(self.dsn, "select pg_terminate_backend(pid) from pg_stat_replication")
            self.ring(self.dsn, "jobs", "in the gap")
            await wait_for("the log to be read", lambda: audience.listens)
            await self.hears(listener, audience, self.dsn)
        for reason in self.losses(audience):
            self.assertIn("terminating connection due to administrator command", reason)

    async def test_lost_in_listen(self) -> None:
        """The connection breaks while other tables are looked for: it is made anew, and again."""
        proxy = Proxy(self, address(self.dsn))
        source: Any
        source, audience = await self.listening(through(self.dsn, proxy.port), **PATIENT)
        execute(self.dsn, "create table if not exists lost (id int primary key)")
        for number in range(5):
            source.set_tables(["lost"] if number % 2 else [])
            proxy.reset()
            await self.lost(audience, number)
            await in_time("the log to be read", source.when_listening())
        await self.hears(source, audience, self.dsn)

    async def test_lost_before_it_reads(self) -> None:
        """The session is ended while it waits for another's transaction: one loss, and again."""
        writer = psycopg2.connect(self.dsn)
        self.addCleanup(writer.close)
        with writer.cursor() as cursor:
            cursor.execute("select pg_current_xact_id()")
        listener, audience = self.started(self.dsn)
        ended = "select pg_terminate_backend(pid) from pg_stat_replication"
        for number in range(5):
            await wait_for("its session", lambda: execute(self.dsn, ended))
            await self.lost(audience, number)
        writer.commit()
        await self.hears(listener, audience, self.dsn)
        self.assertEqual(len(self.losses(audience)), 5)

    async def test_frozen_before_it_reads(self) -> None:
        """The process that waits for a transaction stands still: found out once that has ended."""
        writer = psycopg2.connect(self.dsn)
        self.addCleanup(writer.close)
        with writer.cursor() as cursor:
            cursor.execute("select pg_current_xact_id()")
        listener, audience = self.started(self.dsn, query_timeout=0.2)
        waits = "select pid from pg_stat_activity where wait_event = 'transactionid'"
        [(frozen,)] = await wait_for("its session", lambda: execute(self.dsn, waits))
        os.kill(frozen, signal.SIGSTOP)
        self.addCleanup(os.kill, frozen, signal.SIGCONT)
        writer.commit()
        await wait_for("the loss", lambda: self.losses(audience))
        self.assertIn("the slot is not made", self.losses(audience)[0])
        await self.hears(listener, audience, self.dsn)
        self.assertEqual(len(self.losses(audience)), 1)

    async def lost(self, audience: RecordingAudience, known: int) -> None:
        """Wait for a further loss."""
        await wait_for("the loss", lambda: len(self.losses(audience)) > known)

    async def test_frozen_reader(self) -> None:
        """The process that reads the log stands still: its heartbeat finds out."""
        options = {**PATIENT, "heartbeat": 0.2}
        listener, audience = await self.listening(self.dsn, **options)
        [(frozen,)] = execute(self.dsn, "select pid from pg_stat_replication")
        os.kill(frozen, signal.SIGSTOP)
        self.addCleanup(os.kill, frozen, signal.SIGCONT)
        await wait_for("the loss", lambda: self.losses(audience))
        self.assertIn("no answer to a keepalive within 0.3 s", self.losses(audience)[0])
        await self.hears(listener, audience, self.dsn)


class LogServerLossTests(LogMixin, test_loss.ServerLossTests):
    """Servers that go away."""


class LogStopTests(LogMixin, test_stop.StopTests):
    """A stop in every situation."""


class LogLeakTests(LogMixin, test_leaks.LeakTests):
    """Sessions that have ended are forgotten."""

    few = 6


class LogRefusalTests(LogMixin, test_refusal.RefusalTests):
    """Connections that don't come about."""

    async def test_connection_limit(self) -> None:
        """A role with two connections, and a third for a probe, reads, but is deaf without that."""
        role = f"lonely{next(self.names)}"
        execute(self.dsn, f"create role {role} login replication connection limit 1")
        execute(self.dsn, f"grant create on database postgres to {role}")
        self.addCleanup(execute, self.dsn, f"drop owned by {role}; drop role {role}")
        options = {**PATIENT, "publication": role}
        listener, audience = self.started(f"{self.dsn} user={role}", **options)
        # Replication sessions are counted elsewhere: by max_wal_senders.
        await in_time("the log to be read", listener.when_listening())
        await wait_for("the doubt", lambda: listener.state is State.DEAF)
        self.assertIn("too many connections", listener.reason)
        execute(self.dsn, f"alter role {role} connection limit 2")
        await self.healthy(listener)
        await self.hears(listener, audience, self.dsn)
        self.assertEqual(len(audience.listens), 1)


class LogPasswordTests(LogMixin, test_refusal.PasswordTests):
    """A server that asks for a password."""

    def setUp(self) -> None:
        """Let the one who is asked for it read the log."""
        super().setUp()
        execute(self.server.dsn, "alter role guest superuser")
