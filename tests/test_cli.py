"""The command ``txdoorbell ring``: it rings, or says in one line why not."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import psycopg2
from psycopg2.extensions import connection, parse_dsn
from twisted.trial.unittest import SynchronousTestCase

from tests.commands import CommandTestCase, environment
from tests.servers import shared_server
from txdoorbell.cli import main
from txdoorbell.embedded import PostgresServer


class UsageTests(SynchronousTestCase):
    """What can be given."""

    def give(self, *arguments: str) -> tuple[object, str, str]:
        """Give a command that ends before it does anything: return its status and what it says."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            error = self.assertRaises(SystemExit, main, arguments)
        return error.code, out.getvalue(), err.getvalue()

    def refused(self, *arguments: str) -> str:
        """Return the one line that is said of wrong usage."""
        status, out, err = self.give(*arguments)
        self.assertEqual((status, out, err.count("\n")), (2, "", 1), err)
        return err

    def test_help(self) -> None:
        """The help shows an example, and tells the exit status."""
        status, out, _ = self.give("ring", "--help")
        self.assertEqual(status, 0)
        self.assertIn("examples:\n  txdoorbell ring jobs\n", out)
        self.assertIn("exit status: 0", out)

    def test_commands(self) -> None:
        """The help of the command itself lists what it can do; its version can be asked."""
        self.assertIn("ring", self.give("--help")[1])
        self.assertIn("txdoorbell ", self.give("--version")[1])

    def test_no_command(self) -> None:
        """One has to be named."""
        self.assertIn("COMMAND", self.refused())
        self.assertIn("invalid choice: 'rung'", self.refused("rung", "jobs"))

    def test_channel(self) -> None:
        """A channel is needed, one that PostgreSQL takes whole."""
        self.assertIn("CHANNEL", self.refused("ring"))
        self.assertIn("channel '' is empty", self.refused("ring", ""))
        self.assertIn("over the limit of 63", self.refused("ring", "x" * 64))

    def test_payload(self) -> None:
        """A payload has a limit."""
        self.assertIn("over the limit of 7999", self.refused("ring", "jobs", "x" * 8000))

    def test_dsn(self) -> None:
        """A malformed DSN is told without the password in it."""
        text = self.refused("ring", "jobs", "--dsn", "postgresql://me:geheim@host:x/db")
        self.assertIn("argument --dsn: ", text)
        self.assertNotIn("geheim", text)

    def test_unquoted_dsn(self) -> None:
        """Nor is that of a DSN without quotes around it."""
        text = self.refused("ring", "jobs", "--dsn", "host=db", "password=geheim", "port=1")
        self.assertIn("password=... port=...", text)

    def test_stray_word(self) -> None:
        """A payload without quotes around it is recognised."""
        self.assertIn("not understood: world;", self.refused("ring", "jobs", "hello", "world"))

    def test_one_place(self) -> None:
        """There is one place to ring."""
        text = self.refused("ring", "jobs", "--dsn", "dbname=app", "--embedded", "data")
        self.assertIn("not allowed with", text)

    def test_unknown_option(self) -> None:
        """An option that there isn't is named, but not its value."""
        self.assertIn("--nonsense=...", self.refused("ring", "jobs", "--nonsense=geheim"))

    def test_no_server(self) -> None:
        """Where no private PostgreSQL runs, that is said."""
        error = self.assertRaises(SystemExit, main, ["ring", "jobs", "--embedded", "missing"])
        self.assertTrue(str(error).startswith("txdoorbell: no PostgreSQL runs in /"), error)


class RingTests(CommandTestCase):
    """What it does."""

    def listening(self, dsn: str) -> connection:
        """Return a session that listens on a channel with capitals."""
        listener = psycopg2.connect(dsn)
        self.addCleanup(listener.close)
        listener.autocommit = True
        listener.cursor().execute('listen "Jobs"')
        return listener

    def heard(self, listener: connection) -> list[tuple[str, str]]:
        """Return what was heard."""
        listener.poll()
        return [(heard.channel, heard.payload) for heard in listener.notifies]

    async def test_ring(self) -> None:
        """When it ends with 0 the notification has been committed; it prints nothing."""
        listener = self.listening(shared_server().dsn)
        command = self.txdoorbell("ring", "Jobs", "it's 7", "--dsn", shared_server().dsn)
        self.assertEqual((await command.ends(), command.out, command.err), (0, "", ""))
        self.assertEqual(self.heard(listener), [("Jobs", "it's 7")])

    async def test_environment(self) -> None:
        """The environment that libpq knows says where; a payload isn't needed."""
        listener = self.listening(shared_server().dsn)
        server = parse_dsn(shared_server().dsn)
        place = {"PGHOST": server["host"], "PGPORT": server["port"], "PGUSER": server["user"]}
        command = self.txdoorbell("ring", "Jobs", environ={**environment(), **place})
        self.assertEqual((await command.ends(), command.err), (0, ""))
        self.assertEqual(self.heard(listener), [("Jobs", "")])

    async def test_embedded(self) -> None:
        """A private PostgreSQL is rung by the name of its folder, whoever has started it."""
        server = PostgresServer(self.directory / "data", settings={"fsync": "off"})
        self.addCleanup(server.stop, "immediate")
        server.start()
        listener = self.listening(server.dsn)
        command = self.txdoorbell("ring", "Jobs", "--embedded", "data")
        self.assertEqual((await command.ends(), command.err), (0, ""))
        self.assertEqual(self.heard(listener), [("Jobs", "")])

    async def test_refused(self) -> None:
        """A server that isn't there: status 1 and one line, without the password."""
        dsn = "postgresql://me:geheim@127.0.0.1:1/app"
        command = self.txdoorbell("ring", "jobs", "--dsn", dsn)
        await self.refused(command, 1, "127.0.0.1:1/app as me: Connection refused")
        self.assertNotIn("geheim", command.err)

    async def test_other_encoding(self) -> None:
        """A payload is sent whatever encoding the environment asks for."""
        environ = {**environment(), "PGCLIENTENCODING": "LATIN1"}
        command = self.txdoorbell(
            *("ring", "jobs", "5 €", "--dsn", shared_server().dsn), environ=environ
        )
        self.assertEqual(await command.ends(), 0)

    async def test_driver_missing(self) -> None:
        """Without psycopg2: the extras that bring it."""
        script = (
            "import sys; sys.modules['psycopg2'] = None; from txdoorbell.cli import main; main({})"
        )
        command = self.shell(f'{sys.executable} -c "{script.format(["ring", "jobs"])}"')
        await self.refused(command, 1, "pip install 'txdoorbell[binary]'")
