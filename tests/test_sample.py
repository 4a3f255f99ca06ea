"""The parts of the first try: what it prints, and in which order it stops."""

from __future__ import annotations

import shlex
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.bells import BellTestCase
from txdoorbell.embedded import EmbeddedUnavailable
from txdoorbell.notification import Notification
from txdoorbell.process.housing import Housing
from txdoorbell.process.invitation import invite, ring_command
from txdoorbell.process.sample import Sample


class SampleTests(SynchronousTestCase):
    """The sample function."""

    def setUp(self) -> None:
        """Begin with nothing printed."""
        self.printed: list[str] = []
        self.sample = Sample(self.printed.append, limit=2)

    def rung(self, *payloads: str) -> list[str]:
        """Ring with payloads, run once, and return what is printed."""
        self.printed.clear()
        for payload in payloads:
            self.sample.hint(Notification("jobs", payload, 7))
        self.sample()
        return self.printed

    def test_ring(self) -> None:
        """A ring is printed with its payload and its sender."""
        self.assertEqual(self.rung("it's 7"), ["'jobs' rang: payload \"it's 7\", sent by pid 7"])

    def test_no_payload(self) -> None:
        """A ring may have no payload."""
        self.assertEqual(self.rung(""), ["'jobs' rang: no payload, sent by pid 7"])

    def test_nothing(self) -> None:
        """A run without a ring, such as that of the safety net, prints nothing."""
        self.assertEqual(self.rung(), [])

    def test_once(self) -> None:
        """What has been printed isn't printed again."""
        self.rung("a")
        self.assertEqual(self.rung(), [])

    def test_many(self) -> None:
        """Of many rings the last ones are printed, and the number of the others."""
        self.assertEqual(
            self.rung("a", "b", "c", "d"),
            [
                "2 more rings, and then:",
                "'jobs' rang: payload 'c', sent by pid 7",
                "'jobs' rang: payload 'd', sent by pid 7",
            ],
        )


class RingCommandTests(SynchronousTestCase):
    """The command that rings, as it is printed."""

    def python(self, script: bool) -> Path:
        """Return a Python in a directory with a space, perhaps with our script beside it."""
        place = Path(self.mktemp()).absolute() / "my venv"
        place.mkdir(parents=True)
        if script:
            (place / "txdoorbell").touch(mode=0o755)
        return place / "python"

    def test_script(self) -> None:
        """The script beside Python is named by its whole path, quoted."""
        python = self.python(script=True)
        command = ring_command("it's", Path("my data"), str(python))
        self.assertEqual(
            shlex.split(command),
            [
                *(str(python.with_name("txdoorbell")), "ring", "it's", "hello"),
                *("--embedded", str(Path("my data").absolute())),
            ],
        )

    def test_no_script(self) -> None:
        """Without a script it is a module that Python runs."""
        python = self.python(script=False)
        command = shlex.split(ring_command("jobs", Path("data"), str(python)))
        self.assertEqual(command[:5], [str(python), "-m", "txdoorbell", "ring", "jobs"])


class InvitationTests(BellTestCase):
    """When it is printed."""

    def test_when_listening(self) -> None:
        """Nobody is invited to ring before the ring would be heard."""
        printed: list[str] = []
        bell = self.build(channels=["jobs", "a b"])
        invite(bell, Path("data"), printed.append)
        bell.startService()
        self.assertEqual(printed, [])
        self.turn()
        self.assertEqual(printed[0], "Listening on a b, jobs. Try this in another terminal:")
        self.assertIn(" ring 'a b' hello --embedded ", printed[1])

    def test_stopped_first(self) -> None:
        """Who stops before that sees neither an invitation nor an error."""
        printed: list[str] = []
        bell = self.build()
        invite(bell, Path("data"), printed.append)
        bell.startService()
        self.stop(bell)
        self.assertEqual(printed, [])


class Part(Service):
    """
    A service that notes what is asked of it.

    :param stopped: what its stop waits for.
    """

    def __init__(self, name: str, log: list[str], stopped: Deferred[None] | None = None) -> None:
        self.part = name
        self.log = log
        self.stopped = stopped or succeed(None)

    def startService(self) -> None:
        """Note the start."""
        self.log.append(f"{self.part} starts")

    def stopService(self) -> Deferred[None]:
        """Note the stop."""
        self.log.append(f"{self.part} stops")
        return self.stopped


class Unavailable(Part):
    """A server that can't be had."""

    def startService(self) -> None:
        """Raise."""
        raise EmbeddedUnavailable("no disk")


class Interrupted(Part):
    """A server whose start takes long enough for Ctrl-C."""

    def startService(self) -> None:
        """Be interrupted."""
        raise KeyboardInterrupt


class HousingTests(SynchronousTestCase):
    """A server, and what lives on it."""

    def test_order(self) -> None:
        """The server is there before its users, and until the last of them has stopped."""
        log: list[str] = []
        busy: Deferred[None] = Deferred()
        housing = Housing(Part("server", log))
        Part("bell", log, busy).setServiceParent(housing)
        housing.startService()
        stopped = housing.stopService()
        self.assertEqual(log, ["server starts", "bell starts", "bell stops"])
        self.assertNoResult(stopped)
        busy.callback(None)
        self.assertEqual(log[3:], ["server stops"])
        self.successResultOf(stopped)

    def test_no_server(self) -> None:
        """Without its server nothing is started."""
        log: list[str] = []
        housing = Housing(Unavailable("server", log))
        Part("bell", log).setServiceParent(housing)
        self.assertRaises(EmbeddedUnavailable, housing.startService)
        self.assertEqual(log, [])

    def test_interrupted(self) -> None:
        """Ctrl-C during the start ends twistd without a traceback."""
        error = self.assertRaises(SystemExit, Housing(Interrupted("server", [])).startService)
        self.assertEqual(error.code, "interrupted")
