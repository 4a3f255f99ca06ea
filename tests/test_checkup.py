"""The command ``txdoorbell check``: would it ring, and if not, why not."""

from __future__ import annotations

import re

import psycopg2

from tests.commands import Command, CommandTestCase
from tests.poolers import PgBouncer
from tests.servers import execute, private_server, shared_server
from txdoorbell.fleet.lease_table import lease_table_sql, take_sql
from txdoorbell.leadership import lock_key

GOOD = 'channels = ["jobs"]\n[[function]]\ncall = "work:process"\nchannels = ["mail"]\n'


class CheckTests(CommandTestCase):
    """Each step is a line, and the exit status says whether all went well."""

    def check(self, text: str, *arguments: str) -> Command:
        """Give the command, with a configuration and a module that it names."""
        (self.directory / "work.py").write_text("def process():\n    raise SystemExit('called')\n")
        path = self.directory / "bell.toml"
        path.write_text(text)
        path.chmod(0o600)
        return self.txdoorbell("check", "bell.toml", *arguments)

    async def said(self, command: Command, status: int) -> list[str]:
        """Return what has been printed by a command that ended as it should."""
        self.assertEqual(await command.ends(), status, command.out + command.err)
        self.assertEqual(command.err, "")
        return command.out.splitlines()

    async def test_good(self) -> None:
        """All is well: imported but not called, connected, listening, rung and heard."""
        command = self.check(f'{GOOD}[database]\ndsn = "{shared_server().dsn}"\n')
        lines = await self.said(command, 0)
        self.assertEqual(lines[0], "ok      bell.toml is valid")
        self.assertEqual(lines[1], "ok      work:process is imported, for the loop loop")
        self.assertIn("ok      connected to 127.0.0.1:", lines[2])
        self.assertEqual(lines[3], "ok      LISTEN committed for jobs, mail")
        self.assertTrue(re.fullmatch(r"ok      a ring is heard, after [\d.]+ ms", lines[4]), lines)
        self.assertEqual(lines[5:], [])

    async def test_mistakes(self) -> None:
        """Twelve mistakes are twelve lines."""
        command = self.check(
            'channels = "jobs"\ninterval = -1\nintervall = 2\nport = 5432\nstatus = 8765\n'
            '[database]\ndsn = "hots=x"\npassword = "${SURELY_NOT_SET}"\n[probe]\ntimeout = "5"\n'
            '[[loop]]\nname = "a"\nstuck = "x"\n[[function]]\ncall = "work:proces"\nloop = "b"\n'
            'prority = 1\n[[function]]\nname = "nameless"\n'
        )
        lines = await self.said(command, 1)
        culprits = [line.split(": ")[1] for line in lines]
        self.assertEqual(
            culprits,
            [
                *("channels", "interval", "intervall", "port", "status"),
                *("database.dsn", "database.password", "probe.timeout", "loop[0].stuck"),
                *("function[0].call", "function[0].loop", "function[0].prority"),
                "function[1].call",
            ],
        )
        for line in lines:
            self.assertTrue(line.startswith("failed  bell.toml, line "), line)

    async def test_refused(self) -> None:
        """A server that isn't there: where it was looked for, and nothing of the password."""
        dsn = "host=127.0.0.1 port=1 dbname=app user=me"
        command = self.check(f'{GOOD}[database]\ndsn = "{dsn}"\npassword = "geheim"\n')
        lines = await self.said(command, 1)
        self.assertIn("failed  127.0.0.1:1/app as me: Connection refused", lines[-1])
        self.assertNotIn("geheim", command.out)

    async def test_pooler(self) -> None:
        """Behind a pooler in transaction mode LISTEN succeeds, and no ring is heard."""
        pooler = PgBouncer(self, shared_server().dsn, "transaction")
        text = f'{GOOD}[database]\ndsn = "{pooler.dsn}"\n[probe]\ntimeout = 0.5\n'
        lines = await self.said(self.check(text), 1)
        self.assertEqual(lines[-2], "ok      LISTEN committed for jobs, mail")
        self.assertIn("failed  a ring is not heard: ", lines[-1])
        self.assertIn("; a pooler in transaction mode?", lines[-1])

    async def test_offline(self) -> None:
        """Without a database the file and its functions are checked."""
        command = self.check(f'{GOOD}[database]\ndsn = "port=1"\n', "--offline")
        self.assertEqual(len(await self.said(command, 0)), 2)

    async def test_embedded(self) -> None:
        """A private PostgreSQL that doesn't run is not started."""
        lines = await self.said(self.check(f'{GOOD}[database]\nembedded = "data"\n'), 0)
        self.assertIn("skipped connecting: no PostgreSQL runs in ", lines[-1])
        self.assertFalse((self.directory / "data").exists())

    async def test_tables(self) -> None:
        """With tables: they are looked up, what is not published is told, the log is read."""
        server = private_server(self, settings={"wal_level": "logical"})
        text = f'{GOOD}[database]\ndsn = "{server.dsn}"\n'
        lines = await self.said(self.check(f'tables = ["jobs"]\n{text}'), 1)
        self.assertIn("failed  there is no table jobs in the search_path", lines[-1])
        execute(server.dsn, "create table jobs (id int primary key)")
        lines = await self.said(self.check(f'tables = ["jobs"]\n{text}'), 0)
        self.assertEqual(lines[-2], "ok      there is the table jobs")
        self.assertIn("skipped reading the log: the service first runs CREATE PUBLIC", lines[-1])
        execute(server.dsn, lines[-1].partition(" first runs ")[2])
        lines = await self.said(self.check(f'tables = ["jobs"]\n{text}'), 0)
        self.assertEqual(lines[-2], "ok      the log is read for jobs")
        self.assertIn("ok      a message in the log is heard, after ", lines[-1])

    async def test_locks(self) -> None:
        """With locks: whether leases have numbers, and who holds each."""
        server = private_server(self)
        loops = "".join(f'[[loop]]\nname = "{name}"\nlock = "{name}"\n' for name in "ab")
        text = f'{GOOD}{loops}[database]\ndsn = "{server.dsn}"\n'
        lines = await self.said(self.check(text), 0)
        self.assertIn("warning leases have no numbers, for there is no public.txdoor", lines[-3])
        self.assertEqual(lines[-2:], ["ok      lock a is free", "ok      lock b is free"])
        holder = psycopg2.connect(server.dsn)
        self.addCleanup(holder.close)
        holder.autocommit = True
        execute(server.dsn, lease_table_sql())
        cursor = holder.cursor()
        cursor.execute("select pg_advisory_lock(%s, %s)", lock_key("a"))
        cursor.execute(take_sql(), ("anna", 4711, ["a"]))
        lines = await self.said(self.check(text), 0)
        self.assertEqual(lines[-3], "ok      leases are numbered in public.txdoorbell_leases")
        self.assertRegex(
            lines[-2], r"^ok      lock a is held by host anna, pid 4711, since .*, lease 1$"
        )
        self.assertEqual(lines[-1], "ok      lock b is free")
        execute(server.dsn, "create role shop login")
        lines = await self.said(self.check(text.replace("user=postgres", "user=shop")), 0)
        self.assertIn("warning public.txdoorbell_leases is not for shop: txdoorbell sql", lines[-3])
        self.assertIn("ok      lock a is held by ", lines[-2])

    async def test_log_not_logical(self) -> None:
        """A server whose log can't be decoded: what to run."""
        text = f'tables = ["pg_class"]\n{GOOD}[database]\ndsn = "{shared_server().dsn}"\n'
        lines = await self.said(self.check(text), 1)
        self.assertIn("run ALTER SYSTEM SET wal_level = logical", lines[-1])

    async def test_help(self) -> None:
        """The help has an example."""
        command = self.txdoorbell("check", "--help")
        self.assertEqual(await command.ends(), 0)
        self.assertIn("  txdoorbell check doorbell.toml\n", command.out)
