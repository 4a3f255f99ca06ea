"""What is seen from outside of a ``twistd doorbell`` with a table: JSON, metrics, readiness."""

from __future__ import annotations

import json

from tests.commands import Command, CommandTestCase
from tests.servers import execute
from tests.status_web import NO_METRICS
from tests.waiting import wait_for
from tests.walservers import logical_server
from txdoorbell.embedded import PostgresServer
from txdoorbell.status.asking import Where


class ServedTests(CommandTestCase):
    """A real process, asked as its supervisor asks it."""

    def setUp(self) -> None:
        """Make the function, and a server with a table and a role that owns nothing."""
        super().setUp()
        (self.directory / "app.py").write_text("def look():\n    print('begun', flush=True)\n")
        self.server: PostgresServer = logical_server(self)
        for sql in (
            "create table jobs (id int primary key)",
            "create role plain login replication",
        ):
            execute(self.server.dsn, sql)

    async def start(self, dsn: str, *options: str) -> Command:
        """Start a doorbell of this table, and wait until it can be asked."""
        arguments = "--dsn", dsn, "--processor", "app:look", "--table", "jobs", *options
        bell = self.twistd("-n", "--pidfile=", "doorbell", *arguments, "--status", "unix:page")
        await bell.prints("the status page is at unix:page")
        return bell

    def ask(self, path: str) -> tuple[int, str]:
        """Return the status and the text of an answer."""
        connection = Where(f"unix:{self.directory / 'page'}").connection()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    async def test_not_ready(self) -> None:
        """Not ready, for a reason with a statement in it: run, that makes it ready."""
        bell = await self.start(f"{self.server.dsn} user=plain")
        await bell.prints("permission denied")
        code, text = self.ask("/readyz")
        self.assertEqual(code, 503)
        self.assertIn("the write-ahead log is not being read: permission denied for", text)
        _, _, statement = text.partition("have who owns it run ")
        self.assertRegex(statement, "CREATE PUBLICATION .* FOR TABLE")
        execute(self.server.dsn, statement)
        await wait_for("readiness", lambda: self.ask("/readyz")[0] == 200)

    async def test_json(self) -> None:
        """The JSON has the second bell: what it reads, how much is kept for it, who rang."""
        bell = await self.start(self.server.dsn)
        await bell.prints("the log is read by")
        execute(self.server.dsn, "insert into jobs values (1)")
        ask = lambda: json.loads(self.ask("/status.json")[1])  # noqa: E731
        await wait_for("the ring", lambda: ask()["wal"]["rung"])
        status = ask()
        self.assertEqual(status["unready"], [])
        wal = status["wal"]
        self.assertEqual((wal["state"], wal["tables"]), ("listening", ["jobs"]))
        self.assertEqual(wal["rung"], {"public.jobs": 1})
        self.assertIsInstance(wal["retained_bytes"], int)
        self.assertLess(wal["since"], status["now"])

    async def test_metrics(self) -> None:
        """So have the metrics."""
        bell = await self.start(self.server.dsn)
        await bell.prints("the log is read by")
        execute(self.server.dsn, "insert into jobs values (1)")
        rings = 'txdoorbell_wal_rings_total{table="public.jobs"} 1.0\n'
        await wait_for("the ring's sample", lambda: rings in self.ask("/metrics")[1])
        metrics = self.ask("/metrics")[1]
        self.assertRegex(metrics, r"(?m)^txdoorbell_wal_retained_bytes [\d.e+]+$")
        self.assertIn('txdoorbell_wal_state{state="listening"} 1.0\n', metrics)

    test_metrics.skip = NO_METRICS  # type: ignore[attr-defined]
