"""Whole doorbells with tables: a change by whoever knows nothing of us makes functions run."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg2
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.commands import CommandTestCase
from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT, address, through
from tests.proxy import Proxy
from tests.servers import execute, following, private_server
from tests.waiting import in_time, wait_for
from tests.walservers import LOGICAL, drop_database, logical_server, shared_logical_server, slots
from txdoorbell.doorbell import Doorbell
from txdoorbell.embedded import PostgresServer, find_binaries
from txdoorbell.notification import State
from txdoorbell.wal import WalSource

NO_CHANNELS: dict[str, Any] = {**PATIENT, "channels": ()}


class LogBellTestCase(BellFaultTestCase):
    """A function that notes how many jobs it has seen, run by changes of their table."""

    def setUp(self) -> None:
        """Note what is seen."""
        super().setUp()
        self.seen: list[int] = []
        self.dsn = ""

    def look(self) -> None:
        """Be a processing function that counts the jobs, if there is a server."""
        with contextlib.suppress(psycopg2.OperationalError):
            self.seen.append(self.count())

    def count(self) -> int:
        """Return how many jobs there are."""
        [(number,)] = execute(self.dsn, "select count(*) from jobs")
        return int(number)

    async def made(self, dsn: str, by_way_of: str = "", **options: Any) -> Doorbell:
        """Return a doorbell, perhaps by way of another place, whose function the table rings."""
        self.dsn = dsn
        execute(dsn, "create table if not exists jobs (id serial primary key, what text)")
        bell = self.doorbell(by_way_of or dsn, **{**NO_CHANNELS, **options})
        bell.add(self.look, tables=["jobs"])
        await in_time("the log to be read", bell.when_listening())
        await in_time("the loop to be quiet", bell.loop.when_quiet())
        return bell

    async def runs_after(self, insert: str = "insert into jobs (what) values ('x')") -> None:
        """Fail unless a change is seen by a run."""
        execute(self.dsn, insert)
        jobs = self.count()
        await wait_for("a run that sees it", lambda: self.seen[-1:] == [jobs])

    def log_of(self, bell: Doorbell) -> WalSource:
        """Return the source that reads the log."""
        assert isinstance(bell.wal, WalSource)
        return bell.wal


class LogBellTests(LogBellTestCase):
    """A database of each test's own, at a server that they share."""

    def setUp(self) -> None:
        """Make the database."""
        super().setUp()
        self.admin = shared_logical_server().dsn
        name = f"bells{next(self.names)}"
        execute(self.admin, f"create database {name}")
        self.addCleanup(drop_database, self.admin, name)
        self.place = f"{self.admin} dbname={name}"

    async def test_insert_by_psql(self) -> None:
        """A program that knows nothing of us inserts a row, and the function runs."""
        await self.made(self.place)
        psql = find_binaries() / "psql"
        if not psql.exists():
            await self.runs_after()
            return
        from twisted.internet.utils import getProcessValue

        insert = [self.place, "-qc", "insert into jobs (what) values ('x')"]
        status = getProcessValue(str(psql), insert, {"LC_ALL": "C"})
        self.assertEqual(await in_time("psql", status), 0)
        await wait_for("a run that sees it", lambda: self.seen[-1:] == [1])

    async def test_one_run(self) -> None:
        """A transaction of very many rows is one run."""
        await self.made(self.place)
        before = len(self.seen)
        await self.runs_after("insert into jobs (what) select 'x' from generate_series(1, 100000)")
        self.assertEqual(len(self.seen), before + 1)

    async def test_many_writers(self) -> None:
        """Whatever writers do at the same time: the last run sees all of it."""
        await self.made(self.place)
        before = len(self.seen)

        def write() -> None:
            session = psycopg2.connect(self.dsn)
            for _ in range(200):
                with session, session.cursor() as cursor:
                    cursor.execute("insert into jobs (what) values ('x')")
            session.close()

        for writer in [deferToThread(write) for _ in range(4)]:
            await in_time("a writer", writer, 30.0)
        await wait_for("a run that sees all", lambda: self.seen[-1:] == [800])
        self.assertGreater(len(self.seen), before + 1)

    async def test_killed_in_transaction(self) -> None:
        """The session is killed while a transaction is open, which commits: a run sees it."""
        await self.killed_and_committed()

    async def test_killed_and_waited_for(self) -> None:
        """The same, but it commits when the next session waits for it already."""
        await self.killed_and_committed("select 1 from pg_locks where not granted")

    async def killed_and_committed(self, condition: str = "select 1") -> None:
        """Kill the session in mid-transaction, wait for a condition, and commit."""
        bell = await self.made(self.place)
        writer = psycopg2.connect(self.dsn)
        with writer.cursor() as cursor:
            cursor.execute("insert into jobs (what) values ('x')")
        execute(self.admin, "select pg_terminate_backend(pid) from pg_stat_replication")
        log = self.log_of(bell)
        await wait_for("the loss", lambda: log.state is not State.LISTENING)
        await wait_for("the moment", lambda: execute(self.admin, condition))
        self.assertIsNot(log.state, State.LISTENING)
        writer.commit()
        writer.close()
        await wait_for("a run that sees it", lambda: self.seen[-1:] == [1])
        await in_time("the log to be read", bell.when_listening())
        await self.runs_after()

    async def test_killed_while_reading(self) -> None:
        """The session is killed in the midst of a large transaction: a run sees it."""
        bell = await self.made(self.place)
        insert = "insert into jobs (what) select 'x' from generate_series(1, 200000)"
        await in_time("the rows", deferToThread(execute, self.dsn, insert))
        execute(self.admin, "select pg_terminate_backend(pid) from pg_stat_replication")
        await wait_for("a run that sees it", lambda: self.seen[-1:] == [200000])
        await in_time("the log to be read", bell.when_listening())
        await self.runs_after()

    async def test_long_transaction(self) -> None:
        """One that was open before delays the hearing; the log names it, and the net is cast."""
        execute(self.place, "create table jobs (id serial primary key, what text)")
        writer = psycopg2.connect(f"{self.place} application_name=nightly")
        with writer.cursor() as cursor:
            cursor.execute("insert into jobs (what) values ('x')")
        self.dsn = self.place
        bell = self.doorbell(self.place, **{**NO_CHANNELS, "query_timeout": 0.2, "interval": 1.0})
        bell.add(self.look, tables=["jobs"])
        warning = "this transaction has ended: pid"
        await wait_for("the warning", lambda: warning in str(self.logged_texts()))
        self.assertIn("application_name 'nightly'", str(self.logged_texts()))
        runs = len(self.seen)
        await wait_for("the safety net", lambda: len(self.seen) > runs)
        writer.commit()
        writer.close()
        await in_time("the log to be read", bell.when_listening())
        await wait_for("a run that sees it", lambda: self.seen[-1:] == [1])
        self.assertEqual(str(self.logged_texts()).count(warning), 1)

    async def test_half_open(self) -> None:
        """The network swallows everything: found out, and what happened meanwhile is seen."""
        proxy = Proxy(self, address(self.place))
        options = {"heartbeat": 0.2, "probe_interval": 0.3, "probe_timeout": 0.5}
        bell = await self.made(self.place, through(self.place, proxy.port), **options)
        proxy.stop_forwarding()
        execute(self.place, "insert into jobs (what) values ('x')")
        log = self.log_of(bell)
        await wait_for("the loss", lambda: log.state is not State.LISTENING)
        proxy.forward()
        await wait_for("a run that sees it", lambda: self.seen[-1:] == [1])
        await in_time("the log to be read", bell.when_listening())
        await self.runs_after()

    async def test_busy_function(self) -> None:
        """While a function is busy, the log is read and confirmed on: nothing is kept for it."""
        bell = await self.made(self.place, probe_interval=0.1)
        gate: Deferred[None] = Deferred()
        self.addCleanup(gate.callback, None)
        bell.add(lambda: gate, name="busy", tables=["jobs"])
        await wait_for("it to be busy", lambda: bell.loop.active == "busy")
        row = "insert into jobs (what) select repeat('x', 1000) from generate_series(1, 30000)"
        await in_time("the rows", deferToThread(execute, self.dsn, row))
        log = self.log_of(bell)

        def is_little() -> bool:
            # Where a slot begins moves on with the server's own notes, made at checkpoints.
            execute(self.admin, "checkpoint")
            return (log.retained_bytes or 10**9) < 10**6

        await wait_for("little to be kept", is_little)
        self.assertEqual(bell.loop.active, "busy")

    async def test_channel_by_message(self) -> None:
        """A message in the log rings a function that has channels only."""
        bell = await self.made(self.place, channels=["mail"])
        began: list[int] = []
        bell.add(lambda: began.append(1), name="mail", channels=["mail"])
        await in_time("LISTEN", bell.when_listening())
        await in_time("the loop to be quiet", bell.loop.when_quiet())
        before = len(began)
        execute(self.place, "select pg_logical_emit_message(true, 'txdoorbell:mail', 'x')")
        await wait_for("a run", lambda: len(began) > before)


class LogServerTests(LogBellTestCase):
    """Servers of each test's own."""

    async def test_failover(self) -> None:
        """The primary is killed and its standby promoted: a new slot there, and a run."""
        first = logical_server(self)
        second = private_server(self, start=False, settings={**LOGICAL, **following(first)})
        (second.data / "standby.signal").touch()
        second.start()
        ports = ",".join(str(address(server.dsn)[1]) for server in (first, second))
        dsn = f"{first.dsn} host=127.0.0.1,127.0.0.1 port={ports} target_session_attrs=read-write"
        bell = await self.made(dsn)
        await self.runs_after()
        await self.replicated(second)
        first.kill()
        log = self.log_of(bell)
        await wait_for("the loss", lambda: log.state is not State.LISTENING)
        execute(second.dsn, "select pg_promote(false)")
        await in_time("the log to be read", bell.when_listening(), 20.0)
        await self.runs_after()
        await in_time("a probe", log.probe())
        self.assertEqual(len(slots(second.dsn)), 1)

    async def replicated(self, standby: PostgresServer) -> None:
        """Wait until the standby has the jobs that there are."""
        jobs = self.count()
        sql = "select count(*) from jobs"
        await wait_for("the replication", lambda: execute(standby.dsn, sql) == [(jobs,)])

    async def test_server_stopped(self) -> None:
        """A server that is stopped in the usual way isn't held up by who reads its log."""
        server = logical_server(self)
        bell = await self.made(server.dsn)
        await self.runs_after()
        began = self.reactor().seconds()
        await in_time("the stop", deferToThread(server.stop))
        self.assertLess(self.reactor().seconds() - began, 5.0)
        await in_time("the start", deferToThread(server.start))
        await in_time("the log to be read", bell.when_listening())
        await self.runs_after()

    async def test_wal_level(self) -> None:
        """A server whose log has too little in it is told what to do, and is read after that."""
        server = private_server(self)
        await self.refused(server, "wal_level is replica: run ALTER SYSTEM SET wal_level = logical")
        execute(server.dsn, "alter system set wal_level = logical")
        await deferToThread(server.stop)
        await deferToThread(server.start)
        await wait_for("a run", lambda: self.seen)
        await self.runs_after()

    async def test_no_slot(self) -> None:
        """All slots are in use: that is said, with what to run, and one that is free is taken."""
        server = logical_server(self, settings={"max_replication_slots": "1"})
        execute(server.dsn, "select pg_create_physical_replication_slot('other')")
        await self.refused(server, "run ALTER SYSTEM SET max_replication_slots = 11; and restart")
        execute(server.dsn, "select pg_drop_replication_slot('other')")
        await wait_for("a run", lambda: self.seen)

    async def test_no_sender(self) -> None:
        """No further replication session is allowed: the same."""
        server = logical_server(self, settings={"max_wal_senders": "1"})
        from psycopg2.extras import LogicalReplicationConnection

        other = psycopg2.connect(server.dsn, connection_factory=LogicalReplicationConnection)
        await self.refused(server, "run ALTER SYSTEM SET max_wal_senders = 11; and restart")
        other.close()
        await wait_for("a run", lambda: self.seen)

    async def test_taken_for_a_standby(self) -> None:
        """Where every COMMIT would wait for us, we don't read, nor go on when that is set later."""
        server = logical_server(self)
        bell = await self.made(server.dsn, probe_interval=0.1)
        log = self.log_of(bell)
        names = "FIRST 1 (other, *)"
        execute(server.dsn, f"alter system set synchronous_standby_names = '{names}'")
        execute(server.dsn, "select pg_reload_conf()")
        await wait_for("the refusal", lambda: "takes this session for a standby" in log.reason)
        self.assertIn(f"synchronous_standby_names = '{names}'", log.reason)
        self.assertEqual(slots(server.dsn), [])

    async def refused(self, server: PostgresServer, words: str) -> None:
        """Have a doorbell that can't read the log, and says why; nothing of it has run then."""
        self.dsn = server.dsn
        execute(server.dsn, "create table jobs (id serial primary key, what text)")
        bell = self.doorbell(server.dsn, **NO_CHANNELS)
        bell.add(self.look, tables=["jobs"])
        log = self.log_of(bell)
        await wait_for(f"{words!r}", lambda: words in log.reason)
        await in_time("the loop to be quiet", bell.loop.when_quiet())
        self.seen.clear()


_TAC = """
from twisted.application.service import Application
from twisted.internet import reactor
from txdoorbell import Doorbell

def look():
    print("begun", flush=True)

application = Application("app")
bell = Doorbell(reactor, "{dsn}", channels=(), interval=3600)
bell.add(look, tables=["jobs"])
bell.when_listening().addCallback(lambda _: print("reads", flush=True))
bell.setServiceParent(application)
"""


class KilledTests(CommandTestCase):
    """A real ``twistd``."""

    async def test_killed(self) -> None:
        """After kill -9 no slot is left, so nothing is kept for it."""
        server = logical_server(self)
        execute(server.dsn, "create table jobs (id int primary key)")
        (self.directory / "app.tac").write_text(_TAC.format(dsn=server.dsn))
        command = self.twistd("-n", "--pidfile=", "-y", "app.tac")
        await command.prints("reads")
        self.assertEqual(len(slots(server.dsn)), 1)
        before = command.out.count("begun")
        execute(server.dsn, "insert into jobs values (1)")
        await wait_for("a run", lambda: command.out.count("begun") > before)
        command.signal("KILL")
        await command.ends()
        await wait_for("the slot to be gone", lambda: not slots(server.dsn))
