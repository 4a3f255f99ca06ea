"""systemd, or who stands in for it here, is told how a doorbell is."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from configparser import ConfigParser
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import txdoorbell
from tests.commands import Command, CommandTestCase, environment
from tests.servers import execute, shared_server
from tests.waiting import wait_for
from txdoorbell.process.attendant import Attendant
from txdoorbell.process.supervisor import Supervisor
from txdoorbell.ringing.watched import WatchedDoorbell
from txdoorbell.testing import FakeListener

UNIT = Path(txdoorbell.__file__).resolve().parent.parent / "docs/examples/doorbell.service"


class Socket:
    """A real datagram socket, as a supervisor has one."""

    def __init__(self, testcase: SynchronousTestCase, address: str = "") -> None:
        folder = tempfile.mkdtemp()
        testcase.addCleanup(shutil.rmtree, folder)
        self.address = address or str(Path(folder, "notify"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address.replace("@", "\0"))
        self._socket.setblocking(False)
        testcase.addCleanup(self._socket.close)
        self.heard: list[dict[str, str]] = []

    def take(self) -> list[dict[str, str]]:
        """Return what has come since the last time."""
        taken: list[dict[str, str]] = []
        while True:
            try:
                message = self._socket.recv(65536).decode()
            except BlockingIOError:
                self.heard += taken
                return taken
            taken.append(dict(line.split("=", 1) for line in message.split("\n")))

    def has(self, name: str, text: str = "") -> bool:
        """Say whether there has been a variable with a text in its value."""
        self.take()
        return any(text in message[name] for message in self.heard if name in message)


class SupervisorTests(SynchronousTestCase):
    """The protocol."""

    def test_none(self) -> None:
        """A process without a supervisor has none; an address of another kind is none to us."""
        self.assertIsNone(Supervisor.of({}))
        self.assertIsNone(Supervisor.of({"NOTIFY_SOCKET": "vsock:2:1234"}))

    def test_watchdog(self) -> None:
        """It wants a sign of life when it says so, and means this process."""
        for variables, seconds in (
            ({}, None),
            ({"WATCHDOG_USEC": "3000000"}, 3.0),
            ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
            ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
            ({"WATCHDOG_USEC": "soon"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
        ):
            supervisor = Supervisor.of({"NOTIFY_SOCKET": "/run/x", **variables})
            assert supervisor is not None
            self.assertEqual(supervisor.watchdog, seconds, variables)

    def test_message(self) -> None:
        """Each value is one line, whatever is in it."""
        heard = Socket(self)
        Supervisor(heard.address).tell(READY=1, STATUS="lost:\nSTOPPING=1\ud800")
        self.assertEqual(heard.take(), [{"READY": "1", "STATUS": "lost: STOPPING=1?"}])

    def test_abstract(self) -> None:
        """The address may be a name that is in no folder."""
        heard = Socket(self, f"@txdoorbell-test-{os.getpid()}")
        Supervisor(heard.address).tell(READY=1)
        self.assertEqual(heard.take(), [{"READY": "1"}])

    def test_gone(self) -> None:
        """A supervisor that is gone, or does not read, holds up nobody."""
        Supervisor("/nowhere/at/all").tell(READY=1)
        busy = Socket(self)
        for _ in range(1000):
            Supervisor(busy.address).tell(WATCHDOG=1)
        self.assertLess(len(busy.take()), 1000)


class AttendantTests(SynchronousTestCase):
    """What a supervisor hears in the course of a doorbell's life."""

    def setUp(self) -> None:
        """Start a doorbell that is attended."""
        self.clock, self.socket = Clock(), Socket(self)
        self.listener = FakeListener(self.clock)
        self.bell = WatchedDoorbell(self.clock, listener=self.listener, channels=["a", "b"])
        self.attendant = Attendant(self.bell, Supervisor(self.socket.address, watchdog=20.0))
        self.addCleanup(self.bell.stopService)

    def start(self) -> None:
        """Let it listen, and forget what was said of that."""
        self.bell.startService()
        self.attendant.startService()
        self.clock.pump([0] * 3)
        self.socket.take()

    def words(self) -> list[str]:
        """Return what was said in words since the last time."""
        return [message["STATUS"] for message in self.socket.take() if "STATUS" in message]

    def test_ready(self) -> None:
        """It is ready once LISTEN is committed, and not before."""
        self.listener.refuse("connection refused")
        self.start()
        self.assertFalse(self.socket.has("READY"))
        self.assertTrue(self.socket.has("STATUS", "connection refused"))
        self.listener.regain()
        self.clock.pump([0] * 3)
        self.assertIn({"READY": "1", "STATUS": "Listening on a, b"}, self.socket.take())

    def test_loss(self) -> None:
        """A loss and a return are told in words; it is ready once only."""
        self.start()
        self.listener.lose("terminating connection")
        self.clock.pump([0] * 3)
        self.assertIn("terminating connection", " ".join(self.words()))
        self.listener.regain()
        self.clock.pump([0] * 3)
        self.assertEqual(self.words()[-1:], ["Listening on a, b"])
        self.assertEqual([message for message in self.socket.heard if "READY" in message][1:], [])

    def test_alive(self) -> None:
        """A sign of life comes twice in the time that the supervisor gives."""
        self.start()
        self.clock.pump([10.0] * 4)
        self.assertEqual(self.socket.take(), [{"WATCHDOG": "1"}] * 4)

    def test_stuck(self) -> None:
        """While a function is stuck there is no sign of life; then there is again."""
        end: Deferred[None] = Deferred()

        async def hopeless() -> None:
            try:
                await Deferred()
            except CancelledError:
                await end

        self.start()
        self.bell.add(hopeless, timeout=1, retry=False)
        self.clock.pump([0, 1, 5, 4])
        self.socket.take()
        self.clock.pump([10])
        (message,) = self.socket.take()
        self.assertIn("Stuck: ", message["STATUS"])
        self.assertNotIn("WATCHDOG", message)
        end.callback(None)
        self.clock.pump([0] * 3)
        self.clock.pump([10])
        self.assertIn({"WATCHDOG": "1"}, self.socket.take())
        self.flushLoggedErrors()

    def test_reload(self) -> None:
        """A reload has a beginning and an end."""
        self.start()
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.attendant.reloading()
        self.attendant.reloaded()
        begun, over = self.socket.take()
        self.assertEqual(begun["RELOADING"], "1")
        self.assertGreaterEqual(int(begun["MONOTONIC_USEC"]), before)
        self.assertEqual(over, {"READY": "1", "STATUS": "Listening on a, b"})

    def test_reload_too_early(self) -> None:
        """One that is not ready does not become so by a reload."""
        self.listener.refuse("connection refused")
        self.start()
        self.attendant.reloading()
        self.attendant.reloaded()
        self.assertEqual(self.socket.take(), [])

    def test_stop(self) -> None:
        """A stop is told when it begins, and nothing is after it."""
        self.start()
        self.attendant.stopService()
        self.bell.stopService()
        self.clock.pump([10] * 3)
        self.assertEqual(self.socket.take(), [{"STOPPING": "1", "STATUS": "Stopping"}])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ProcessTests(CommandTestCase):
    """A real process, told by its environment who supervises it."""

    async def test_whole_life(self) -> None:
        """It is ready, alive, deaf, reloading and stopping, each in its time."""
        heard = Socket(self)
        (self.directory / "bell.toml").write_text(
            'channels = ["supervised"]\n[database]\ndsn = "${DSN}"\n'
        )
        name = f"supervised-{os.getpid()}"
        variables = {
            "NOTIFY_SOCKET": heard.address,
            "WATCHDOG_USEC": "200000",
            "DSN": f"{shared_server().dsn} application_name={name}",
        }
        command = self.twistd(
            *("-n", "doorbell", "--config=bell.toml", "--log-format=json"),
            environ={**environment(), **variables},
        )
        await wait_for("READY", lambda: heard.has("READY"))
        await wait_for("two signs of life", lambda: self.signs(heard) >= 2)
        execute(
            shared_server().dsn,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s",
            (name,),
        )
        await wait_for("the loss", lambda: heard.has("STATUS", "terminating connection"))
        command.signal("HUP")
        await wait_for("RELOADING", lambda: heard.has("RELOADING"))
        command.signal("TERM")
        self.assertEqual(await command.ends(), -signal.SIGTERM, command.out)
        self.assertTrue(heard.has("STOPPING"))
        self.look_at_log(command.out)

    def signs(self, heard: Socket) -> int:
        """Return how many signs of life there have been."""
        heard.take()
        return sum("WATCHDOG" in message for message in heard.heard)

    def look_at_log(self, log: str) -> None:
        """See that each line is an event, with its text."""
        events = [json.loads(line) for line in log.splitlines()]
        texts = [event["text"] for event in events]
        self.assertTrue(any("is listening" in text for text in texts), texts)
        self.assertEqual({"text", "log_time", "log_level"} - events[0].keys(), set())


class UnitTests(CommandTestCase):
    """The unit file of the examples."""

    skip = None if UNIT.exists() else "the examples are not installed"

    def setUp(self) -> None:
        """Read it, and write a configuration."""
        super().setUp()
        self.unit = ConfigParser(strict=False, interpolation=None)
        self.unit.optionxform = str  # type: ignore[assignment,method-assign]
        self.unit.read(UNIT)
        self.config = self.directory / "bell.toml"
        self.config.write_text('[database]\ndsn = "${DSN}"\n[[function]]\ncall = "os:getpid"\n')

    def command(self, key: str) -> list[str]:
        """Return the arguments of a command in it, with our configuration in its place."""
        _, *arguments = self.unit["Service"][key].split()
        return [str(self.config) if "/etc/" in word else word for word in arguments]

    async def test_commands(self) -> None:
        """Its commands check a configuration, start the doorbell, and make it ready."""
        heard = Socket(self)
        variables = {"NOTIFY_SOCKET": heard.address, "DSN": shared_server().dsn}
        environ = {**environment(), **variables}
        check = self.txdoorbell(*self.command("ExecStartPre"), environ=environ)
        self.assertEqual(await check.ends(), 0, check.out + check.err)
        twistd = self.twistd(*self.command("ExecStart"), environ=environ)
        await wait_for("READY", lambda: heard.has("READY") or twistd.status is not None)
        self.assertEqual(self.command("ExecReload"), ["-HUP", "$MAINPID"])
        twistd.signal("HUP")
        await wait_for("RELOADING", lambda: heard.has("RELOADING"))
        twistd.signal("TERM")
        self.assertEqual(await twistd.ends(), -signal.SIGTERM, twistd.out + twistd.err)

    async def test_valid(self) -> None:
        """Nothing is wrong with it, says systemd."""
        program = shutil.which("systemd-analyze")
        if program is None:
            raise SkipTest("there is no systemd-analyze here")
        text = re.sub(r"/opt/doorbell/bin/\w+", "/bin/true", UNIT.read_text())
        path = self.directory / "doorbell.service"
        path.write_text(text.replace("User=doorbell", "User=root"))
        command = Command(self, program, "verify", "--man=no", str(path), cwd=self.directory)
        self.assertEqual(await command.ends(), 0, command.err)
        self.assertNotIn("doorbell.service", command.err)


class LogTests(CommandTestCase):
    """A log in JSON, where twistd's own would have been."""

    async def test_file(self) -> None:
        """It goes to the file that twistd is told; errors have their tracebacks."""
        (self.directory / "jobs.py").write_text("def fail():\n    raise RuntimeError('broken')\n")
        command = self.twistd(
            *("-n", "--logfile=the.log", "doorbell", "--log-format=json"),
            *("--dsn", shared_server().dsn, "--processor=jobs:fail"),
        )
        log = self.directory / "the.log"
        await wait_for("the error", lambda: log.exists() and "broken" in log.read_text())
        command.signal("TERM")
        self.assertEqual(await command.ends(), -signal.SIGTERM)
        events = [json.loads(line) for line in log.read_text().splitlines()]
        (error,) = [event for event in events if "broken" in event["text"]]
        self.assertIn("Traceback", error["text"])
        self.assertEqual(error["log_level"]["name"], "critical")
        self.assertEqual(command.out, "")

    async def test_other_services(self) -> None:
        """Other services can have it from twistd's own option."""
        (self.directory / "app.tac").write_text(
            "from twisted.application.service import Application\n"
            "from twisted.internet import reactor\n"
            "application = Application('app')\n"
            "reactor.callWhenRunning(reactor.stop)\n"
        )
        command = self.twistd("-n", "--logger=txdoorbell.process.jsonlog.observer", "-y", "app.tac")
        self.assertEqual(await command.ends(), 0, command.err)
        for line in command.out.splitlines():
            json.loads(line)
        self.assertIn("starting up", command.out)

    async def test_daemon_to_stdout(self) -> None:
        """A daemon has no stdout to log to."""
        command = self.twistd("--logfile=-", "doorbell", "--log-format=json")
        self.assertEqual(await command.ends(), 1)
        self.assertEqual(command.err, "twistd doorbell: a daemon can't log to stdout\n")
        self.assertEqual(command.out, "")
