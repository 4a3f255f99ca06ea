"""The status page's endpoint, the options for it, and ``txdoorbell status``, all for real."""

from __future__ import annotations

import errno
import json
import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.commands import Command, CommandTestCase, environment
from tests.test_packaging import python
from txdoorbell import tap
from txdoorbell.doorbell import Doorbell
from txdoorbell.status.asking import NotAnswered, Where, ask
from txdoorbell.status.service import StatusService, check_endpoint
from txdoorbell.testing import FakeListener

LOCAL = "tcp:0:interface=127.0.0.1"
TOKEN = "correct-horse-battery-staple"


class ImportTests(SynchronousTestCase):
    """What the status costs those who do not show it."""

    def test_light(self) -> None:
        """``import txdoorbell.status``, a loop and the command's options import no web server."""
        script = (
            "import txdoorbell.status, txdoorbell.loop, txdoorbell.tap\n"
            "print([m for m in sys.modules if m.startswith(('twisted.web', 'prometheus'))])"
        )
        self.assertEqual(python(script), "[]")


class OptionTests(SynchronousTestCase):
    """``--status`` and what belongs to it."""

    def setUp(self) -> None:
        """Have no token in the environment."""
        self.patch(os, "environ", dict(os.environ))
        os.environ.pop("TXDOORBELL_STATUS_TOKEN", None)

    def parse(self, *arguments: str) -> tap.Options:
        """Parse options."""
        options = tap.Options()
        options.parseOptions(["--dsn", "dbname=app", *arguments])
        return options

    def refused(self, *arguments: str) -> str:
        """Return the one line that is said of options that are refused."""
        error = str(self.assertRaises(UsageError, self.parse, *arguments))
        self.assertNotIn("\n", error)
        return error

    def token_file(self, text: str) -> str:
        """Write a file."""
        path = Path(self.mktemp())
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    def test_default(self) -> None:
        """There is no page unless one is asked for."""
        options = self.parse()
        self.assertIsNone(options["status"])
        self.assertIsNone(options.status_token())

    def test_endpoint(self) -> None:
        """An endpoint is taken as it is; a bad one is named, in one line."""
        self.assertEqual(self.parse("--status", LOCAL)["status"], LOCAL)
        for text in ("", "8765", "tcp:", "tcp:x", "carrier:pigeon", "tcp:1:2:3:4:5"):
            self.assertIn(f"--status: {text!r} is no endpoint", self.refused("--status", text))

    def test_token(self) -> None:
        """The token comes from a file, or else from the environment."""
        os.environ["TXDOORBELL_STATUS_TOKEN"] = f"{TOKEN}-2"
        self.assertEqual(self.parse().status_token(), f"{TOKEN}-2")
        options = self.parse("--status-token-file", self.token_file(f"{TOKEN}\n"))
        self.assertEqual(options.status_token(), TOKEN)

    def test_token_for_everybody(self) -> None:
        """A file that everybody can read is warned of."""
        path = self.token_file(TOKEN)
        Path(path).chmod(0o644)
        with capturedLogs() as logs:
            self.parse("--status-token-file", path)
        (event,) = logs
        self.assertIn("everybody on this machine can read it", event["log_format"])
        self.assertNotIn(TOKEN, str(event))

    def test_token_refused(self) -> None:
        """A token that is missing, short or odd is refused, and not shown."""
        self.assertIn("No such file", self.refused("--status-token-file", "missing"))
        for text, why in (("geheim", "too short"), ("geheim" * 3 + " x", "printable ASCII")):
            said = self.refused("--status-token-file", self.token_file(text))
            self.assertIn(why, said)
            self.assertNotIn("geheim", said)
            os.environ["TXDOORBELL_STATUS_TOKEN"] = text
            said = self.refused()
            self.assertIn("TXDOORBELL_STATUS_TOKEN: the token", said)
            self.assertIn(why, said)
            self.assertNotIn("geheim", said)
            del os.environ["TXDOORBELL_STATUS_TOKEN"]

    def test_hosts(self) -> None:
        """Each ``--status-host`` is one more."""
        options = self.parse("--status-host", "a.example", "--status-host", "b.example")
        self.assertEqual(options["status-host"], ["a.example", "b.example"])

    def test_check(self) -> None:
        """Whoever makes the service without our options gets a ``ValueError``."""
        self.assertEqual(check_endpoint("unix:/run/bell"), "unix:/run/bell")
        self.assertRaises(ValueError, check_endpoint, "unix")


class ServiceTests(TestCase):
    """The service, on real endpoints."""

    timeout = 20

    def bell(self) -> Doorbell:
        """Return a doorbell; it is stopped at the end."""
        from twisted.internet import reactor

        clock: Any = reactor
        bell = Doorbell(clock, listener=FakeListener(clock), channels=["jobs"])
        self.addCleanup(bell.stopService)
        return bell

    def show(self, bell: Doorbell, endpoint: str | None, **options: Any) -> StatusService:
        """Show the status of a doorbell, and start it."""
        from twisted.internet import reactor

        page = StatusService(reactor, bell, endpoint, **options)
        page.setServiceParent(bell)
        bell.startService()
        return page

    async def ask(self, where: str) -> dict[str, Any]:
        """Ask as ``txdoorbell status`` does."""
        return await deferToThread(ask, Where(where))

    async def test_tcp(self) -> None:
        """It answers at its address while the doorbell runs, and at a new one after a restart."""
        bell = self.bell()
        page = self.show(bell, LOCAL)
        url = page.url
        await bell.when_listening()
        self.assertEqual((await self.ask(url))["listener"]["state"], "listening")
        await bell.stopService()
        with self.assertRaisesRegex(NotAnswered, "Connection refused"):
            await self.ask(url)
        bell.startService()
        self.assertTrue((await self.ask(page.url))["running"])

    async def test_unix(self) -> None:
        """It answers through a Unix socket, which is removed at the end."""
        path = Path(self.mktemp())
        bell = self.bell()
        page = self.show(bell, f"unix:{path}")
        self.assertEqual(page.url, f"unix:{path}")
        self.assertTrue((await self.ask(page.url))["running"])
        await bell.stopService()
        self.assertFalse(path.exists())

    def test_taken(self) -> None:
        """A port that is taken ends the start, with the reason."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with self.assertRaisesRegex(SystemExit, f"127.0.0.1:{port}: Address already in use"):
                self.show(self.bell(), f"tcp:{port}:interface=127.0.0.1")

    async def test_first_try(self) -> None:
        """The first try takes another port then, and goes on."""
        first, second = self.bell(), self.bell()
        urls = {self.show(first, None).url, self.show(second, None).url}
        self.assertEqual(len(urls), 2)
        for url in urls:
            self.assertTrue((await self.ask(url))["running"])

    def test_short_token(self) -> None:
        """A token that can be guessed is refused."""
        self.assertRaises(ValueError, self.show, self.bell(), LOCAL, token="short")


class RacingReactor(MemoryReactorClock):
    """A reactor whose port 8765 somebody else takes between bind and listen."""

    def listenTCP(self, port: int, *arguments: Any, **options: Any) -> Any:
        """Listen, as Twisted does; what fails after bind is no CannotListenError."""
        if port == 8765:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        return super().listenTCP(port, *arguments, **options)


class RaceTests(SynchronousTestCase):
    """Two first tries are started at the same moment."""

    def test_first_try(self) -> None:
        """The one that comes second shows its page at another port, and goes on."""
        reactor = RacingReactor()
        bell = Doorbell(reactor, listener=FakeListener(reactor))
        page = StatusService(reactor, bell)
        page.startService()
        self.assertNotEqual(page.url, "")
        self.assertEqual(reactor.tcpServers[0][0], 0)
        self.successResultOf(page.stopService())


class WhereTests(SynchronousTestCase):
    """What ``txdoorbell status`` takes."""

    def test_forms(self) -> None:
        """An address, or the endpoint as ``--status`` has it."""
        for text, expected in (
            ("http://10.0.0.7:8765/", ("10.0.0.7", 8765, "/")),
            ("http://bell.example/shop", ("bell.example", 80, "/shop/")),
            ("http://[::1]:9", ("::1", 9, "/")),
            ("tcp:8765:interface=127.0.0.1", ("127.0.0.1", 8765, "/")),
            ("tcp:8765", ("127.0.0.1", 8765, "/")),
            ("tcp:port=9:interface=\\:\\:1", ("::1", 9, "/")),
            ("tcp6:9", ("::1", 9, "/")),
        ):
            where = Where(text)
            self.assertEqual((where.host, where.port, where.path), expected, text)
        self.assertEqual(Where("unix:/run/bell.sock:mode=660").socket, "/run/bell.sock")
        self.assertEqual(Where("unix:address=/run/bell").socket, "/run/bell")

    def test_refused(self) -> None:
        """Anything else is refused, by name."""
        for text in ("", "8765", "tcp", "tcp:x", "unix", "unix:", "https://x/", "http:///"):
            self.assertRaises(ValueError, Where, text)


class CommandTests(CommandTestCase):
    """The commands as users give them."""

    async def start(self, *options: str) -> Command:
        """Start a doorbell whose database is away."""
        bell = self.twistd(
            *("-n", "doorbell", "--dsn", "host=127.0.0.1 port=1", *options),
            *("--status", "unix:page"),
            environ={**environment(), "TXDOORBELL_STATUS_TOKEN": TOKEN},
        )
        await bell.prints("the status page is at unix:page")
        await bell.prints("is waiting")
        return bell

    async def test_status(self) -> None:
        """``txdoorbell status`` tells how it is, and ends with 1 while it is not ready."""
        bell = await self.start()
        text = self.txdoorbell("status", "unix:page")
        as_json = self.txdoorbell("status", "unix:page", "--json")
        watch = self.txdoorbell("status", "unix:page", "--watch")
        self.assertEqual(await text.ends(), 1)
        self.assertIn("NOT READY: the listener is ", text.out)
        self.assertIn("FUNCTION", text.out)
        self.assertEqual(await as_json.ends(), 1)
        self.assertEqual(json.loads(as_json.out)["unready"][0][:16], "the listener is ")
        await watch.prints("sample")
        self.assertNotIn(TOKEN, bell.out + text.out + as_json.out)
        bell.signal("INT")
        await bell.ends()
        watch.signal("INT")
        self.assertEqual(await watch.ends(), 0)

    async def test_nobody(self) -> None:
        """Where nobody answers, that is one line."""
        command = self.txdoorbell("status", "unix:nothing")
        await self.refused(command, 1, "unix:nothing does not answer: No such file or directory")

    async def test_wrong(self) -> None:
        """What is no address is wrong usage."""
        await self.refused(self.txdoorbell("status", "carrier:pigeon"), 2, "carrier:pigeon")

    async def test_taken(self) -> None:
        """A page that can't be opened is one line, and the exit status 1."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            endpoint = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
            bell = self.twistd("-n", "doorbell", "--dsn", "dbname=app", "--status", endpoint)
            self.assertEqual(await bell.ends(), 1)
        self.assertIn("the status page can't be shown: 127.0.0.1:", bell.out)
        self.assertNotIn("Traceback", bell.err + bell.out)

    async def test_no_such_folder(self) -> None:
        """So is a socket in a folder that isn't there."""
        bell = self.twistd("-n", "doorbell", "--dsn", "dbname=app", "--status", "unix:/no/such/x")
        self.assertEqual(await bell.ends(), 1)
        self.assertIn("can't be shown: /no/such/x.lock: No such file or directory\n", bell.out)

    async def test_taken_from_a_daemon(self) -> None:
        """So is one that a daemon can't open: nobody waits for it, nothing is left."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            endpoint = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
            bell = self.twistd("doorbell", "--dsn", "dbname=app", "--status", endpoint)
            self.assertEqual(await bell.ends(), 1)
        self.assertIn("the status page can't be shown: 127.0.0.1:", bell.err)
        self.assertFalse((self.directory / "twistd.pid").exists())
