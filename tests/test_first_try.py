"""What a newcomer does first: ``twistd -n doorbell``, and a ring from another terminal."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path
from statistics import median

import psycopg2
from psycopg2.extensions import connection

import txdoorbell
from tests.commands import Command, CommandTestCase
from tests.folders import borrow, give_back
from tests.waiting import wait_for
from txdoorbell.embedded import EmbeddedUnavailable, find_binaries, running_dsn

try:
    find_binaries()
    NO_POSTGRESQL = None
except EmbeddedUnavailable as error:
    NO_POSTGRESQL = str(error)


def gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has asked for its status counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class FirstTryTestCase(CommandTestCase):
    """Tests that start the first try."""

    skip = NO_POSTGRESQL

    def settle_in(self) -> None:
        """Begin where somebody has been before: the folder has a cluster already."""
        folder = borrow()
        try:
            folder.rename(self.data)
        except OSError:  # on another disk; a cluster of its own will do
            give_back(folder)
        else:
            self.addCleanup(self.move_out, folder)

    async def move_out(self, folder: Path) -> None:
        """Give the cluster back, once its server has ended."""
        await wait_for("the server to end", lambda: not (self.data / "postmaster.pid").exists())
        self.data.rename(folder)
        give_back(folder)

    @property
    def data(self) -> Path:
        """The folder of the private PostgreSQL."""
        return self.directory / "doorbell-data"

    async def first_try(self, *arguments: str) -> Command:
        """Give the first command, or one like it, and wait for its invitation."""
        started = self.twistd("-n", "doorbell", *arguments)
        await started.prints(" --embedded ")
        return started

    def printed_command(self, output: str) -> str:
        """Return the command that the first try has printed, as somebody would copy it."""
        found = re.search(r"\] +(\S.* ring .*)$", output, re.MULTILINE)
        assert found is not None, output
        return found[1]

    def server(self) -> int:
        """Return the process of the private PostgreSQL."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def connect(self) -> connection:
        """Connect to the private PostgreSQL, as any other program would."""
        connected = psycopg2.connect(running_dsn(self.data))
        self.addCleanup(connected.close)
        connected.autocommit = True
        return connected


class FirstTryTests(FirstTryTestCase):
    """The first five minutes."""

    async def test_ring(self) -> None:
        """The printed command, copied to another terminal, makes the sample function run."""
        doorbell = await self.first_try()
        ring = self.shell(self.printed_command(doorbell.out))
        self.assertEqual((await ring.ends(), ring.out, ring.err), (0, "", ""))
        await doorbell.prints("'doorbell' rang: payload 'hello', sent by pid ")
        self.assertEqual(doorbell.out.count("rang"), 1)
        self.assertEqual(doorbell.err, "")

    async def test_within_100_ms(self) -> None:
        """From the NOTIFY to the printed line it takes less than 100 ms."""
        self.settle_in()
        doorbell = await self.first_try()
        cursor, took = self.connect().cursor(), []
        for n in range(5):
            began = time.monotonic()
            cursor.execute(f"notify doorbell, 'number {n}'")
            await doorbell.prints(f"rang: payload 'number {n}', sent by pid ")
            took.append(time.monotonic() - began)
        self.assertLess(median(took), 0.1)

    async def test_interrupt(self) -> None:
        """Ctrl-C ends it at once, and PostgreSQL with it."""
        self.settle_in()
        doorbell = await self.first_try()
        server = self.server()
        doorbell.signal("INT")
        self.assertEqual(await doorbell.ends(5), -signal.SIGINT)
        self.assertTrue(gone(server))
        self.assertNotIn("Traceback", doorbell.out)
        with self.assertRaises(EmbeddedUnavailable):
            running_dsn(self.data)

    async def test_again(self) -> None:
        """What is in its database is still there when it is started again."""
        first = await self.first_try()
        self.connect().cursor().execute("create table kept ()")
        first.signal("TERM")
        await first.ends(5)
        await self.first_try()
        self.connect().cursor().execute("table kept")

    async def test_killed(self) -> None:
        """After a ``kill -9`` no PostgreSQL is left behind, and it starts again."""
        self.settle_in()
        first = await self.first_try()
        server = self.server()
        first.signal("KILL")
        await first.ends(5)
        await wait_for("the orphaned server to end", lambda: gone(server))
        await self.first_try()

    async def test_ring_too_late(self) -> None:
        """Ringing when it has ended says so, in one line."""
        self.settle_in()
        doorbell = await self.first_try()
        doorbell.signal("INT")
        await doorbell.ends(5)
        ring = self.shell(self.printed_command(doorbell.out))
        await self.refused(ring, 1, "no PostgreSQL runs in ")

    async def test_second_one(self) -> None:
        """A second one on the same directory is told who has it, and the first one goes on."""
        self.settle_in()
        doorbell = await self.first_try()
        second = self.twistd("-n", "--pidfile=", "doorbell")
        await self.refused(second, 1, "doorbell-data is in use by another process")
        self.connect().cursor().execute("notify doorbell, 'still there'")
        await doorbell.prints("'still there'")

    async def test_daemon(self) -> None:
        """``twistd doorbell`` goes to the background, log and all, and ends on SIGTERM."""
        self.settle_in()
        doorbell = self.twistd("doorbell")
        self.assertEqual(await doorbell.ends(), 0, doorbell.err)
        pid = int((self.directory / "twistd.pid").read_text())
        self.addCleanup(self.kill, pid)
        log = self.directory / "twistd.log"
        await wait_for("the invitation", lambda: " --embedded " in log.read_text(), 20)
        await self.shell(self.printed_command(log.read_text())).ends()
        await wait_for("the ring", lambda: "rang: payload 'hello'" in log.read_text())
        server = self.server()
        os.kill(pid, signal.SIGTERM)
        await wait_for("the daemon to end", lambda: gone(pid))
        self.assertTrue(gone(server))

    def kill(self, pid: int) -> None:
        """End a daemon that a test has not ended."""
        if not gone(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class OwnFunctionTests(FirstTryTestCase):
    """The next step: an own function."""

    async def test_own_function(self) -> None:
        """A function in a file of the current directory runs in place of the sample."""
        self.settle_in()
        (self.directory / "jobs.py").write_text("def process():\n    print('processing')\n")
        doorbell = await self.first_try(
            "--embedded", "doorbell-data", "--channel", "jobs", "--processor", "jobs:process"
        )
        await doorbell.prints("processing")
        self.assertIn(" ring jobs hello ", self.printed_command(doorbell.out))
        before = doorbell.out.count("processing")
        await self.shell(self.printed_command(doorbell.out)).ends()
        await wait_for("another run", lambda: doorbell.out.count("processing") > before)
        self.assertNotIn("rang", doorbell.out)

    async def test_wrong_folder(self) -> None:
        """A folder that holds other things is left alone."""
        self.data.mkdir()
        (self.data / "thesis.txt").write_text("chapter one")
        await self.refused(self.twistd("-n", "doorbell"), 1, "doorbell-data is not empty")
        self.assertFalse((self.directory / "twistd.pid").exists())

    async def test_nowhere_to_write(self) -> None:
        """A folder that can't be made is named before anything is started."""
        (self.directory / "file").touch()
        refused = self.twistd("-n", "doorbell", "--embedded", "file/data")
        await self.refused(refused, 1, "file")
        self.assertFalse((self.directory / "twistd.pid").exists())


class ReadmeTests(FirstTryTestCase):
    """What README.rst shows is what one sees."""

    README = Path(txdoorbell.__file__).resolve().parent.parent / "README.rst"

    if not README.exists():
        skip = "this is an installed txdoorbell"

    def shown(self) -> list[str]:
        """Return the lines of the log that README.rst shows."""
        lines = self.README.read_text().splitlines()
        return [line.strip() for line in lines if re.match(r" +\d{4}-\d\d-\d\dT", line)]

    def setUp(self) -> None:
        """Go to a directory with a simple name, as the one that is shown."""
        super().setUp()
        self.directory = self.directory.parent

    def alike(self, line: str) -> str:
        """Return a line without what differs from machine to machine."""
        line = re.sub(r"[^\s(]*/doorbell-data", "/doorbell-data", line)
        line = re.sub(r"/\S*(/txdoorbell| -m txdoorbell) ring", "txdoorbell ring", line)
        line = re.sub(r"twistd [\d.]+ \(.*\)", "twistd", line)
        line = re.sub(r"(127\.0\.0\.1:|starting on )\d+", r"\1", line)
        return re.sub(r"^\S+|backend \d+|pid \d+|\w+\.\w+Reactor", "", line)

    async def test_looks(self) -> None:
        """The first try prints these lines, and no others."""
        doorbell = await self.first_try()
        await self.shell(self.printed_command(doorbell.out)).ends()
        await doorbell.prints("rang")
        lines = doorbell.out.splitlines()
        # Another line is printed where somebody else has the status page's port.
        seen = [self.alike(line) for line in lines if "the status page is not at" not in line]
        self.assertEqual(seen, [self.alike(line) for line in self.shown()])
