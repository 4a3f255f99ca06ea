"""``twistd doorbell --lock`` and ``--table``: real processes, as an administrator sees them."""

from __future__ import annotations

import re
import socket

from tests.commands import Command, CommandTestCase
from tests.servers import execute, private_server
from tests.waiting import wait_for

JOBS = "def process(lease=None):\n    print('ran by lease', lease and lease.number)\n"


class FleetTests(CommandTestCase):
    """Two processes with one lock."""

    timeout = 60

    def doorbell(self, name: str, *options: str) -> Command:
        """Start a process with a status page."""
        (self.directory / "jobs.py").write_text(JOBS)
        shown = ("--processor", "jobs:process", "--status", f"unix:{name}.sock")
        return self.twistd("-n", "--pidfile=", "doorbell", *options, *shown)

    async def status(self, name: str, pattern: str) -> None:
        """Ask with ``txdoorbell status``, ten times at most, until it says something."""
        for _ in range(10):
            command = self.txdoorbell("status", f"unix:{name}.sock")
            await command.ends()
            if re.search(pattern, command.out):
                return
        raise AssertionError(f"it never said {pattern!r}, but {command.out}{command.err}")

    async def test_lock(self) -> None:
        """One runs; when it is killed the other takes over, with the next lease, and says so."""
        server = private_server(self)
        table = self.txdoorbell("sql", "--fleet", "--apply", "--dsn", server.dsn)
        self.assertEqual(await table.ends(), 0, table.err)
        options = ("--dsn", server.dsn, "--lock", "billing")
        first = self.doorbell("one", *options)
        await first.prints("ran by lease 1")
        second = self.doorbell("two", *options, "--host=bert")
        await second.prints("stands by here: lock billing is held by")
        host = re.escape(socket.gethostname())
        await self.status("two", rf"loop \(billing\)  standby  {host} pid {first.pid} .* ago +1 +1")
        self.assertNotIn("ran by", second.out)
        first.signal("KILL")
        await second.prints("ran by lease 2")
        await self.status("two", rf"loop \(billing\)  holding  bert pid {second.pid}")
        second.signal("TERM")
        await second.ends()

    async def test_table(self) -> None:
        """An insert by somebody who knows nothing of us rings."""
        server = private_server(self, settings={"wal_level": "logical"})
        execute(server.dsn, "create table job (id int primary key)")
        bell = self.doorbell("log", "--dsn", server.dsn, "--table", "job")
        await bell.prints("the log is read by")
        await wait_for("the runs of the start", lambda: bell.out.count("ran by lease None") >= 3)
        before = bell.out.count("ran by lease None")
        execute(server.dsn, "insert into job values (1)")
        await wait_for("a run", lambda: bell.out.count("ran by lease None") > before)
        bell.signal("TERM")
        await bell.ends()
