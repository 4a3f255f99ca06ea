"""Our two commands as users give them: processes of their own, in a directory of their own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.waiting import wait_for

# What the script twistd does. Its directory, not the current one, is on Python's path; -P, too,
# keeps the current one away.
_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"


def environment() -> dict[str, str]:
    """Return our environment, in which Python finds what we find, and libpq nothing."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
    return {**ours, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


class Command(ProcessProtocol):
    """
    A command that runs; the test's cleanup ends it.

    :param arguments: the first is the program.
    :param cwd: its directory.
    :param environ: its environment; None for that of :func:`environment`.
    :ivar out: what it has printed on stdout.
    :ivar err: what it has printed on stderr.
    :ivar status: its exit status; None while it runs, negative when a signal has ended it.
    """

    def __init__(
        self,
        testcase: TestCase,
        *arguments: str,
        cwd: Path,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        from twisted.internet import reactor

        self.out = self.err = ""
        self.status: int | None = None
        spawn: Any = reactor
        self._process = spawn.spawnProcess(
            self,
            arguments[0],
            arguments,
            dict(environ if environ is not None else environment()),
            str(cwd),
        )
        testcase.addCleanup(self._kill)

    @property
    def pid(self) -> int:
        """Its process."""
        pid: int = self._process.pid
        return pid

    def outReceived(self, data: bytes) -> None:
        """Keep what is printed."""
        self.out += data.decode()

    def errReceived(self, data: bytes) -> None:
        """Keep what is complained of."""
        self.err += data.decode()

    def processEnded(self, reason: Failure) -> None:
        """Keep the status."""
        error: Any = reason.value
        self.status = error.exitCode if error.signal is None else -error.signal

    async def prints(self, text: str, deadline: float = 20.0) -> None:
        """
        Wait until a text has been printed on stdout.

        :raises AssertionError: when it ended without that.
        """
        await wait_for(
            f"{text!r} in the output",
            lambda: text in self.out or self.status is not None,
            deadline,
        )
        if text not in self.out:
            raise AssertionError(f"no {text!r} in the output:\n{self.out}{self.err}")

    async def ends(self, deadline: float = 20.0) -> int:
        """Wait until it has ended, and return its status."""
        await wait_for("the command to end", lambda: self.status is not None, deadline)
        assert self.status is not None
        return self.status

    def signal(self, name: str) -> None:
        """Send a signal, such as ``INT`` for Ctrl-C."""
        self._process.signalProcess(name)

    async def _kill(self) -> None:
        if self.status is None:
            with suppress(ProcessExitedAlready):
                self.signal("KILL")
            await self.ends()


class CommandTestCase(TestCase):
    """
    Tests of commands, each in an empty directory with a space in its name.

    :ivar directory: that.
    """

    timeout = 60

    def setUp(self) -> None:
        """Make the directory, with a name short enough for a socket in it."""
        above = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, above, ignore_errors=True)
        above.chmod(0o755)
        self.directory = above / "my project"
        self.directory.mkdir()

    def twistd(self, *arguments: str, **options: Any) -> Command:
        """Give the command ``twistd``."""
        options = {"cwd": self.directory, **options}
        return Command(self, sys.executable, "-P", "-c", _TWISTD, *arguments, **options)

    def txdoorbell(self, *arguments: str, **options: Any) -> Command:
        """Give the command ``txdoorbell``, in the form ``python -m txdoorbell``."""
        options = {"cwd": self.directory, **options}
        return Command(self, sys.executable, "-m", "txdoorbell", *arguments, **options)

    def shell(self, line: str, **options: Any) -> Command:
        """Give a line to a shell that is somewhere else, as another terminal's is."""
        return Command(self, "/bin/sh", "-c", line, cwd=Path("/"), **options)

    async def refused(self, command: Command, status: int, culprit: str) -> None:
        """See a command end with a status and one line on stderr that names a culprit."""
        self.assertEqual(await command.ends(), status, command.err)
        self.assertEqual(command.out, "")
        self.assertEqual(len(command.err.splitlines()), 1, command.err)
        self.assertIn(culprit, command.err)
        self.assertNotIn("Traceback", command.err)
