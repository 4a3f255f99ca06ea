"""A commit that nobody else sees yet when the log begins to be read: it is made good."""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import connection
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.faults.test_wal_bells import NO_CHANNELS, LogBellTestCase
from tests.servers import execute
from tests.waiting import in_time, wait_for
from tests.walservers import logical_server


class SeenLateTests(LogBellTestCase):
    """A writer waits for a standby that isn't there, so its commit is in the log and not seen."""

    def setUp(self) -> None:
        """Make the server, where others than that writer wait for nobody."""
        super().setUp()
        self.dsn = logical_server(self).dsn
        self.run_all(
            "alter database postgres set synchronous_commit = local",
            "create table jobs (id serial primary key, what text)",
            "alter system set synchronous_standby_names = 'nobody'",
            "select pg_reload_conf()",
        )

    def run_all(self, *statements: str) -> None:
        """Run statements one by one."""
        for statement in statements:
            execute(self.dsn, statement)

    def writer(self, commit: str = "local") -> connection:
        """Insert a job in a transaction that is left open, with this ``synchronous_commit``."""
        session = psycopg2.connect(self.dsn)
        self.addCleanup(session.close)
        with session.cursor() as cursor:
            cursor.execute("select set_config('synchronous_commit', %s, false)", (commit,))
            cursor.execute("insert into jobs (what) values ('x')")
        return session

    async def slot_waits_for(self, writer: connection) -> None:
        """Wait until a slot can't be made before a writer's transaction has ended."""
        sql = "select 1 from pg_stat_activity where %s = any (pg_blocking_pids(pid))"
        pid = writer.info.backend_pid
        await wait_for("the slot to wait", lambda: execute(self.dsn, sql, (pid,)))

    async def commit_unseen(self, writer: connection) -> Deferred[None]:
        """Commit, and return once that is in the log; it ends when a standby answers."""
        committed = deferToThread(writer.commit)
        waits = "select 1 from pg_stat_activity where wait_event = 'SyncRep'"
        await wait_for("the commit to wait", lambda: execute(self.dsn, waits))
        return committed

    async def test_seen_late(self) -> None:
        """
        It is in the log before the part that is read of it, and a run sees it once others do.

        The first two writers are there for the order: a slot waits for those who write when it is
        asked for, then for those who write at their end, and for nobody else.
        """
        first = self.writer()
        bell = self.doorbell(self.dsn, **NO_CHANNELS)
        bell.add(self.look, tables=["jobs"])
        await self.slot_waits_for(first)
        second = self.writer()
        first.commit()
        await self.slot_waits_for(second)
        committed = await self.commit_unseen(self.writer("on"))
        second.commit()
        await in_time("the log to be read", bell.when_listening())
        await wait_for("a run", lambda: self.seen[-1:] == [2])
        self.run_all("alter system reset synchronous_standby_names", "select pg_reload_conf()")
        await in_time("the commit", committed)
        await wait_for("a run that sees it", lambda: self.seen[-1:] == [3])
