"""``txdoorbell watch``: it shows what rings, and says when it can't hear."""

from __future__ import annotations

import json
import os
import shlex
import sys
from datetime import UTC, datetime

from psycopg2.extensions import make_dsn
from twisted.trial.unittest import SynchronousTestCase

from tests.commands import Command, CommandTestCase
from tests.servers import execute, private_server, shared_server, terminate
from tests.waiting import wait_for
from txdoorbell.commands.watch import LIMIT, LinePrinter, Watcher, as_json, as_text
from txdoorbell.notification import Notification

NOW = datetime(2026, 11, 20, 8, 30, 0, 123456, UTC)


class FormTests(SynchronousTestCase):
    """The lines."""

    def test_text(self) -> None:
        """Time, channel, process and payload."""
        line = as_text(Notification("jobs", "it's 7", 42), NOW)
        self.assertEqual(line, "2026-11-20 08:30:00.123+00:00  jobs  42  it's 7")
        self.assertTrue(as_text(Notification("jobs", "", 42), NOW).endswith("  jobs  42"))

    def test_control_characters(self) -> None:
        """A payload can't clear the screen, turn the text around, or begin a line."""
        line = as_text(Notification("a\rb", "\x1b[2J\n\x9b1m\u202egnp\x7f Größe 😀", 42), NOW)
        shown = r"a\rb  42  \x1b[2J\n\x9b1m\u202egnp\x7f Größe 😀"
        self.assertTrue(line.endswith(shown), line)

    def test_json(self) -> None:
        """With ``--json``, the payload as it is, and decoded."""
        line = as_json(Notification("jobs", '{"id": 7}', 42), NOW)
        self.assertEqual(
            json.loads(line),
            {
                "time": "2026-11-20T08:30:00.123+00:00",
                "channel": "jobs",
                "pid": 42,
                "payload": '{"id": 7}',
                "data": {"id": 7},
            },
        )

    def test_json_of_anything(self) -> None:
        """What JSON has no value for is given as text, and each line is one of ASCII."""
        for payload in ("{1, 2}", "b'x'", "1e999", "{(1, 2): 3}", "\x1b\n\u2028", "[" * 7000):
            line = as_json(Notification("jobs", payload), NOW)
            self.assertTrue(line.isascii() and line.isprintable(), line)
            fields = json.loads(line, parse_constant=self.fail)
            self.assertEqual((fields["payload"], fields["data"]), (payload, payload))


class WatcherTests(SynchronousTestCase):
    """What is said beside."""

    def test_gap(self) -> None:
        """A new session, but for the first, means that rings may be missed."""
        told: list[str] = []
        watcher = Watcher(lambda _: None, told.append, as_text)
        watcher.listening(frozenset({"jobs"}), True)
        watcher.listening(frozenset({"mail"}), False)
        self.assertEqual(told, [])
        watcher.listening(frozenset({"jobs"}), True)
        self.assertEqual(len(told), 1)


class LinePrinterTests(SynchronousTestCase):
    """Output that nobody reads."""

    def setUp(self) -> None:
        """Make a pipe."""
        self.told: list[str] = []
        self.reader, self.writer = os.pipe()
        self.addCleanup(os.close, self.writer)
        self.printer = LinePrinter(self.writer, lambda: None, self.told.append)

    def test_lines(self) -> None:
        """All lines are written, in order."""
        for number in range(100):
            self.printer.show(str(number))
        self.printer.finish()
        expected = "".join(f"{number}\n" for number in range(100))
        self.assertEqual(os.read(self.reader, 10_000).decode(), expected)

    def test_not_blocking(self) -> None:
        """A terminal that another program has left in that mode is written to as well."""
        os.set_blocking(self.writer, False)
        lines = [f"{number:0>1000}" for number in range(100)]
        for line in lines:
            self.printer.show(line)
        read = b""
        while read.count(b"\n") < len(lines):
            read += os.read(self.reader, 10_000)
        self.assertEqual(read.decode().splitlines(), lines)
        self.printer.finish()

    def test_unread(self) -> None:
        """A reader that does not read keeps nobody waiting; that lines are lost is said once."""
        for _ in range(LIMIT + 1000):
            self.printer.show("x" * 100)
        self.assertEqual(len(self.told), 1)
        os.close(self.reader)
        self.printer.finish()


class CommandTests(CommandTestCase):
    """The command."""

    async def watch(self, *arguments: str, dsn: str = "") -> Command:
        """Watch, and wait until it listens."""
        dsn = dsn or shared_server().dsn
        command = self.txdoorbell("watch", *arguments, "--dsn", dsn)
        await self.says(command, "is listening")
        return command

    async def says(self, command: Command, text: str, times: int = 1) -> None:
        """Wait until something was said on stderr."""

        def said() -> bool:
            return command.err.count(text) >= times or command.status is not None

        await wait_for(f"{text!r} on stderr", said, 20)
        self.assertIsNone(command.status, command.err)

    async def test_text(self) -> None:
        """Each notification is a line on stdout; Ctrl-C ends it with status 0."""
        command = await self.watch("Jobs", "mail")
        execute(shared_server().dsn, "notify \"Jobs\", 'one'; notify mail, 'two'; notify other")
        await command.prints("two\n")
        lines = command.out.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], r"^\d{4}-\d\d-\d\d [\d:.]+[+-][\d:]+  Jobs  \d+  one$")
        command.signal("INT")
        self.assertEqual(await command.ends(), 0)
        self.assertNotIn("Traceback", command.err)

    async def test_json(self) -> None:
        """With ``--json``, an object for each; without a channel, that is ``doorbell``."""
        command = await self.watch("--json")
        execute(shared_server().dsn, """notify doorbell, '{"id": 7}'""")
        await command.prints("\n")
        self.assertEqual(json.loads(command.out)["data"], {"id": 7})
        command.signal("TERM")
        self.assertEqual(await command.ends(), 0)

    async def test_lost(self) -> None:
        """A lost session is told, and made good, and that rings may be missing."""
        dsn = make_dsn(shared_server().dsn, application_name="watched")
        command = await self.watch("jobs", dsn=dsn)
        await wait_for("its session", lambda: terminate(shared_server().dsn, "watched"))
        await self.says(command, "what rang meanwhile was not heard")
        # Deaf, where the session of a probe was lost first.
        self.assertRegex(command.err, "is (waiting|deaf): ")
        execute(dsn, "notify jobs, 'back'")
        await command.prints("back\n")

    async def test_no_server(self) -> None:
        """A server that isn't there is waited for; the password is not shown."""
        server = private_server(self, start=False)
        server.start()
        dsn = make_dsn(server.dsn, password="geheim")
        server.stop()
        command = self.txdoorbell("watch", "jobs", "--dsn", dsn)
        await self.says(command, "Connection refused")
        server.start()
        await self.says(command, "is listening")
        self.assertNotIn("geheim", command.err)

    async def test_closed_pipe(self) -> None:
        """A reader that has seen enough ends it, at once and without a complaint."""
        watch = [sys.executable, "-m", "txdoorbell", "watch", "jobs", "--dsn", shared_server().dsn]
        command = self.shell(f"{shlex.join(watch)} | head -1")
        await self.says(command, "is listening")
        execute(shared_server().dsn, "notify jobs, 'enough'")
        self.assertEqual(await command.ends(), 0)
        self.assertTrue(command.out.endswith("  enough\n"), command.out)
        self.assertEqual(len(command.err.splitlines()), command.err.count("watch ("), command.err)

    async def test_wrong_usage(self) -> None:
        """A channel that can't be is told in one line."""
        await self.refused(self.txdoorbell("watch", "x" * 64), 2, "over the limit of 63")
        await self.refused(self.txdoorbell("watch", "--embedded", "missing"), 1, "no PostgreSQL")
