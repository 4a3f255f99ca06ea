"""Locks on a real server: whoever holds one loses it in time, and before another has it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from itertools import count
from typing import Any

import psycopg2
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT, address, through
from tests.poolers import PgBouncer
from tests.proxy import Proxy
from tests.servers import execute, shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.doorbell import Doorbell
from txdoorbell.fleet.lease_table import (
    TRY_SQL,
    lease_table_sql,
    remove_lease_table_sql,
    show_sql,
)
from txdoorbell.fleet.policy import weight
from txdoorbell.leadership import LOCK_CLASS, lock_key

BEAT = 0.3
"""Seconds between two tries and between two heartbeats, here; the server waits three of them."""

HELD = (
    "select pid from pg_locks where locktype = 'advisory' and objsubid = 2"
    " and classid = (%s)::int4::oid and objid = (%s)::int4::oid"
    " and database = (select oid from pg_database where datname = current_database())"
)


class LockTestCase(BellFaultTestCase):
    """Doorbells on a database of their own, each with the lock "billing"."""

    databases = count()

    def setUp(self) -> None:
        """Make the database, with the table of leases."""
        admin, name = shared_server().dsn, f"locks{next(self.databases)}"
        execute(admin, f"create database {name}")
        self.dsn = f"{admin} dbname={name}"
        super().setUp()
        self.addCleanup(execute, admin, f"drop database {name} (force)")
        execute(self.dsn, lease_table_sql())
        self.ran: list[str] = []
        self.bells: list[Doorbell] = []

    def host(self, name: str, dsn: str | None = None, **options: Any) -> Doorbell:
        """Return a doorbell that is started, whose function notes that it ran."""
        given = {**PATIENT, "lock": "billing", "lock_interval": BEAT, **options}
        bell = self.doorbell(dsn or self.dsn, lambda: self.ran.append(name), **given)
        self.bells.append(bell)
        return bell

    async def holder(self) -> Doorbell:
        """Wait until one of the doorbells holds the lock, and has run; return it."""
        await wait_for("a holder", lambda: any(bell.loop.lease for bell in self.bells))
        [bell] = [bell for bell in self.bells if bell.loop.lease]
        await in_time("its first run", bell.loop.when_quiet())
        return bell

    def other(self, holder: Doorbell) -> Doorbell:
        """Return the doorbell that stands by, of two."""
        [other] = [bell for bell in self.bells if bell is not holder]
        return other

    def held_by(self) -> list[int]:
        """Return the backends that hold the lock, as the server sees it."""
        return [int(pid) for (pid,) in execute(self.dsn, HELD, lock_key("billing"))]

    def number(self, bell: Doorbell) -> int:
        """Return the lease number of a doorbell's loop, 0 for none."""
        return int(bell.loop.lease) if bell.loop.lease else 0

    async def active(self, bell: Doorbell, cancelled: Callable[[], None]) -> None:
        """Have a function active on a doorbell, and a call when it is cancelled."""
        calls: list[Deferred[None] | None] = [None, Deferred(lambda _: cancelled())]
        bell.add(lambda: calls.pop() if calls else None, name="active")
        await wait_for("the function", lambda: bell.loop.active == "active")


class HoldingTests(LockTestCase):
    """Nothing goes wrong."""

    async def test_one_place(self) -> None:
        """Of two one runs the loop; the table, the status and the server agree on who it is."""
        for name in "ab":
            self.host(name)
        holder = await self.holder()
        other = self.other(holder)
        await wait_for("the status", lambda: other.status().loops[0].lock.holder_host)  # type: ignore[union-attr]
        self.assertEqual(len(self.ran), 1)
        [pid] = self.held_by()
        lease = holder.loop.lease
        assert lease is not None
        [(name, number, host, process, _, held)] = execute(self.dsn, show_sql())
        self.assertEqual((name, number, held), ("billing", 1, True))
        self.assertEqual((host, process), (lease.host, lease.pid))
        lock = other.status().loops[0].lock
        assert lock is not None
        self.assertEqual((lock.state, lock.number, lock.holder_pid), ("standby", 1, process))
        self.assertAlmostEqual(lease.since, lock.since or 0.0)
        self.assertEqual(execute(self.dsn, "select backend from txdoorbell_leases"), [(pid,)])

    async def test_costs_nobody(self) -> None:
        """Neither the holder nor those who stand by hold back vacuum, or wait for a lock."""
        for name in "abc":
            self.host(name)
        await self.holder()
        sql = (
            "select count(*), count(backend_xmin), count(nullif(wait_event_type, 'Client'))"
            " from pg_stat_activity where application_name = 'txdoorbell' and state = 'idle'"
        )
        await wait_for("three idle sessions", lambda: execute(self.dsn, sql) == [(3, 0, 0)])

    async def test_stop(self) -> None:
        """Stopped, the holder lets its function end first; then the other one begins, at once."""
        for name in "ab":
            self.host(name, lock_interval=HOUR)
        holder = await self.holder()
        other = self.other(holder)
        ended: Deferred[None] = Deferred()
        holder.add(lambda: ended, name="active")
        await wait_for("the function", lambda: holder.loop.active == "active")
        stopping = holder.stopService()
        self.assertEqual((len(self.held_by()), self.number(other)), (1, 0))
        ended.callback(None)
        await in_time("the stop", stopping)
        await wait_for("the other one, which was told", lambda: self.number(other) == 2)

    async def test_without_locks(self) -> None:
        """A doorbell without a lock is never ended for being idle."""
        show = "select pg_notify('jobs', current_setting('idle_session_timeout'))"
        proxy = Proxy(self, address(self.dsn))
        bell = self.host("a", through(self.dsn, proxy.port), lock=None)
        await in_time("LISTEN", bell.when_listening())
        heard: list[Any] = []
        bell.subscribe("test", "jobs", lambda *call: heard.append(call[2]))
        await in_time("a probe", bell.listener.probe())
        self.assertTrue(proxy.inject(show))
        await wait_for("the setting", lambda: heard)
        self.assertEqual(heard, [0])

    async def test_added_late(self) -> None:
        """A lock that is wanted on a live session is taken on that one."""
        from txdoorbell.loop import Loop

        bell = self.host("a", lock=None)
        await in_time("LISTEN", bell.when_listening())
        loop = Loop(self.reactor(), name="late")
        bell.add_loop(loop, lock="billing")
        await wait_for("the lease", lambda: loop.lease)
        self.assertEqual(len(self.held_by()), 1)

    async def test_many(self) -> None:
        """Many locks are taken in few queries, each once, with a number each."""
        from txdoorbell.loop import Loop

        bell = self.host("a", lock=None)
        loops = [Loop(self.reactor(), name=f"loop{number}") for number in range(40)]
        for loop in loops:
            bell.add_loop(loop, lock=str(loop.name))
        await wait_for("all leases", lambda: all(loop.lease for loop in loops))
        self.assertEqual({int(loop.lease) for loop in loops if loop.lease}, {1})
        await in_time("the stop", bell.stopService())
        left = execute(self.dsn, "select count(*) from pg_locks where locktype = 'advisory'")
        self.assertEqual(left, [(0,)])

    async def test_max_loops(self) -> None:
        """A host holds as many locks as it may, those that it likes best, and never another one."""
        from txdoorbell.loop import Loop

        names = [f"loop{number}" for number in range(40)]
        bell = self.host("a", lock=None, max_loops=7, host="anna")
        for name in names:
            bell.add_loop(Loop(self.reactor(), name=name), lock=name)
        await wait_for("leases", lambda: sum(bool(loop.lease) for loop in bell.loops) == 7)
        await self.rounds(bell, 3)
        held = {str(loop.name) for loop in bell.loops if loop.lease}
        best = sorted(names, key=lambda name: weight("anna", name))[-7:]
        self.assertEqual(held, set(best))
        ours = f"select count(*) from pg_locks where classid = ({LOCK_CLASS})::int4::oid"
        self.assertEqual(execute(self.dsn, ours), [(7,)])

    async def rounds(self, bell: Doorbell, number: int) -> None:
        """Wait for so many rounds of tries."""
        later: Deferred[None] = Deferred()
        self.reactor().callLater(number * BEAT, later.callback, None)
        await later

    async def test_nothing_reads_ahead(self) -> None:
        """The statement takes no lock beyond its limit: the server may not plan to read ahead."""
        keys = list(range(1000))
        plan = [row for (row,) in execute(self.dsn, f"explain {TRY_SQL}", (keys, 3))]
        nodes = [row.split("(cost")[0].strip("-> ") for row in plan if "(cost" in row]
        self.assertEqual(nodes, ["Limit", "Function Scan on unnest wanted"])
        # In one statement, since a session's locks end with it.
        counted = (
            f"with got as materialized ({TRY_SQL}) select (select array_agg(objid) from got),"
            " (select count(*) from pg_locks where locktype = 'advisory')"
        )
        [(got, number)] = execute(self.dsn, counted, (keys, 3))
        self.assertEqual((got, number), ([0, 1, 2], 3))

    async def test_held_without_a_lease(self) -> None:
        """Of somebody else's session that holds the lock the status says at least the address."""
        rival = psycopg2.connect(self.dsn)
        self.addCleanup(rival.close)
        rival.cursor().execute("select pg_advisory_lock(%s, %s)", lock_key("billing"))
        bell = self.host("a")
        await wait_for("the status", lambda: bell.status().loops[0].lock.holder_host)  # type: ignore[union-attr]
        lock = bell.status().loops[0].lock
        assert lock is not None
        self.assertEqual(
            (lock.holder_host, lock.holder_pid, lock.number), ("127.0.0.1", None, None)
        )

    async def test_standbys(self) -> None:
        """The status of each host says how many stand by for the lock, the holder's own, too."""
        for name in "abc":
            self.host(name)
        holder = await self.holder()
        await self.standing_by(2)
        [away, left] = [bell for bell in self.bells if bell is not holder]
        await in_time("the stop", away.stopService())
        self.bells = [holder, left]
        await self.standing_by(1)

    async def standing_by(self, number: int) -> None:
        """Wait until all know how many stand by."""

        def known() -> bool:
            locks = [bell.status().loops[0].lock for bell in self.bells]
            return {lock and lock.standbys for lock in locks} == {number}

        await wait_for(f"{number} to be counted", known, 30.0)

    async def test_durable(self) -> None:
        """A lease is on disk before it is given out, whatever the database is set to."""
        name = self.dsn.rpartition("=")[2]
        execute(self.dsn, f"alter database {name} set synchronous_commit = off")
        show = "select pg_notify('jobs', current_setting('synchronous_commit'))"
        proxy = Proxy(self, address(self.dsn))
        bell = self.host("a", through(self.dsn, proxy.port))
        heard: list[Any] = []
        bell.subscribe("test", "jobs", lambda *call: heard.append(call[2]))
        await self.holder()
        await in_time("a probe", bell.listener.probe())
        self.assertTrue(proxy.inject(show))
        await wait_for("the setting", lambda: heard)
        self.assertEqual(heard, ["on"])


class LossTests(LockTestCase):
    """The holder loses its session, or the network, or only its lock."""

    async def test_terminated(self) -> None:
        """Its backend is ended: its function is cancelled; there is a new lease, by whomever."""
        for name in "ab":
            self.host(name)
        holder = await self.holder()
        cancelled: list[int] = []
        await self.active(holder, lambda: cancelled.append(len(self.held_by())))
        [pid] = self.held_by()
        execute(self.dsn, "select pg_terminate_backend(%s)", (pid,))
        await wait_for("the cancellation", lambda: cancelled)
        await wait_for("a new lease", lambda: 2 in map(self.number, self.bells))
        self.assertEqual(len(self.held_by()), 1)
        [text] = [text for text in self.logged_texts() if "lock billing is lost" in text]
        self.assertIn("loop is suspended", text)

    async def test_network_gone(self) -> None:
        """Nothing gets through any more: the holder stops before the server frees the lock."""
        proxy = Proxy(self, address(self.dsn))
        holder = self.host("a", through(self.dsn, proxy.port), heartbeat_timeout=5.0)
        await self.holder()
        other = self.host("b")
        held: list[int] = []
        await self.active(holder, lambda: held.append(len(self.held_by())))
        proxy.stop_forwarding()
        await wait_for("the cancellation", lambda: held)
        self.assertEqual(held, [1], "the server had freed the lock already")
        self.assertEqual(self.number(other), 0)
        await wait_for("the other one", lambda: self.number(other) == 2)
        [text] = [text for text in self.logged_texts() if "lock billing is lost" in text]
        self.assertIn("the lease on its locks has run out", text)

    async def test_server_frozen(self) -> None:
        """The server is frozen: the holder gives up by itself, and can be stopped at once."""
        holder = self.host("a", heartbeat_timeout=5.0, backoff=lambda failures: HOUR)
        await self.holder()
        [frozen] = self.held_by()
        os.kill(frozen, signal.SIGSTOP)
        self.addCleanup(os.kill, frozen, signal.SIGCONT)
        await wait_for("the end of the lease", lambda: holder.loop.lease is None)
        [text] = [text for text in self.logged_texts() if "lock billing is lost" in text]
        self.assertIn("the lease on its locks has run out", text)
        await in_time("the stop", holder.stopService(), 1.0)

    async def test_stop_while_frozen(self) -> None:
        """The server is frozen just when the holder stops: that takes no longer for it."""
        holder = self.host("a", lock_interval=HOUR)
        await self.holder()
        [frozen] = self.held_by()
        os.kill(frozen, signal.SIGSTOP)
        self.addCleanup(os.kill, frozen, signal.SIGCONT)
        await in_time("the stop", holder.stopService(), 1.0)

    async def test_stream(self) -> None:
        """A stream of notifications does not keep it from saying that it is there."""
        holder = self.host("a")
        await self.holder()
        before = self.held_by()
        ringing = LoopingCall(execute, self.dsn, "notify jobs")
        ringing.clock = self.reactor()
        done = ringing.start(0.05)
        self.addCleanup(self.silence, ringing)
        await wait_for("a hundred rings", lambda: holder.switchboard.counts()["jobs"] > 100, 30.0)
        ringing.stop()
        await in_time("the last ring", done)
        self.assertEqual((self.held_by(), self.number(holder)), (before, 1))

    def silence(self, ringing: LoopingCall) -> None:
        """End a ringing that goes on."""
        if ringing.running:
            ringing.stop()

    async def test_probes(self) -> None:
        """Nor does a probe that takes its time, after which the session would be ended."""
        holder = self.host("a", probe_interval=0.05, probe_timeout=0.5)
        await self.holder()
        before = self.held_by()
        for _ in range(40):
            await in_time("a probe", holder.listener.probe())
        self.assertEqual((self.held_by(), self.number(holder)), (before, 1))

    async def test_discard(self) -> None:
        """DISCARD ALL frees the lock on a session that lives on: suspended, and a new lease."""
        proxy = Proxy(self, address(self.dsn))
        holder = self.host("a", through(self.dsn, proxy.port))
        await self.holder()
        cancelled: list[int] = []
        await self.active(holder, lambda: cancelled.append(1))
        [pid] = self.held_by()
        await in_time("a probe", holder.listener.probe())
        self.assertTrue(proxy.inject("discard all"))
        await wait_for("the cancellation", lambda: cancelled)
        await wait_for("a new lease", lambda: self.number(holder) == 2)
        self.assertEqual(self.held_by(), [pid])

    async def test_unlocked(self) -> None:
        """The same by pg_advisory_unlock_all, which is found by the next probe."""
        proxy = Proxy(self, address(self.dsn))
        holder = self.host("a", through(self.dsn, proxy.port), probe_interval=BEAT)
        await self.holder()
        await in_time("a probe", holder.listener.probe())
        self.assertTrue(proxy.inject("select pg_advisory_unlock_all()"))
        await wait_for("a new lease", lambda: self.number(holder) == 2)

    async def test_pooler(self) -> None:
        """Through a pooler in transaction mode the lock is refused, with the reason."""
        await self.refused("transaction")

    async def test_pooler_of_sessions(self) -> None:
        """In session mode, too: nobody can tell it from the others through the connection."""
        await self.refused("session")

    async def refused(self, mode: str) -> None:
        """Fail unless no lock is held through a pooler in this mode."""
        bell = self.host("a", PgBouncer(self, self.dsn, mode).dsn)
        await wait_for(
            "the refusal", lambda: any("is refused" in reason for reason in bell.status().unready)
        )
        self.assertEqual((self.ran, self.held_by()), ([], []))
        [text] = [text for text in self.logged_texts() if "is refused" in text]
        self.assertIn("a pooler is in between", text)


class LeaseTests(LockTestCase):
    """The table of leases is missing, forbidden or locked."""

    async def test_missing(self) -> None:
        """Without the table the loop runs, without a number; one line says how to have one."""
        execute(self.dsn, remove_lease_table_sql())
        for name in "ab":
            self.host(name)
        holder = await self.holder()
        self.assertIsNone(holder.loop.lease.number)  # type: ignore[union-attr]
        other = self.other(holder)
        await wait_for("the status", lambda: other.status().loops[0].lock.state == "standby")  # type: ignore[union-attr]
        [text] = self.logged_texts()
        self.assertIn("txdoorbell sql --fleet --apply creates the table", text)
        self.assertIn('relation "public.txdoorbell_leases" does not exist', text)

    async def test_forbidden(self) -> None:
        """The same where the role may not write it; as soon as it may, there is a number."""
        execute(self.dsn, "drop role if exists tenant")
        execute(self.dsn, "create role tenant login")
        self.addCleanup(execute, self.dsn, "drop owned by tenant; drop role tenant")
        holder = self.host("a", f"{self.dsn} user=tenant")
        await self.holder()
        self.assertIsNone(holder.loop.lease.number)  # type: ignore[union-attr]
        [text] = self.logged_texts()
        self.assertIn("permission denied for table txdoorbell_leases", text)
        execute(self.dsn, lease_table_sql(role="tenant"))
        [pid] = self.held_by()
        execute(self.dsn, "select pg_terminate_backend(%s)", (pid,))
        await wait_for("a number", lambda: holder.loop.lease and holder.loop.lease.number)

    async def test_row_locked(self) -> None:
        """A transaction that keeps the table to itself delays the loop; the listener hears on."""
        import psycopg2

        blocker = psycopg2.connect(self.dsn)
        self.addCleanup(blocker.close)
        with blocker.cursor() as cursor:
            cursor.execute("lock table txdoorbell_leases")
        bell = self.host("a")
        await wait_for(
            "the failure", lambda: any("could not be tried" in t for t in self.logged_texts())
        )
        self.assertEqual(self.held_by(), [])
        blocker.rollback()
        await wait_for("the lease", lambda: self.number(bell))


HOUR = 3600.0
