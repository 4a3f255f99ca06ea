"""Programs of readers, run as they would run them: each in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from psycopg2.extensions import parse_dsn
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.servers import execute, shared_server
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "docs" / "examples" / "coming_from"

_VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
_TWISTD = "from twisted.scripts.twistd import run; run()"


def environment() -> dict[str, str]:
    """Return an environment in which a program finds the shared server, and this checkout."""
    server = parse_dsn(shared_server().dsn)
    place = {_VARIABLES[name]: value for name, value in server.items()}
    python = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **place, **python}


class Program(ProcessProtocol):
    """
    A program that runs; the test's cleanup ends it.

    :ivar status: its exit status; None while it runs, negative when a signal has ended it.
    """

    def __init__(self, testcase: TestCase, *arguments: str) -> None:
        from twisted.internet import reactor

        self.status: int | None = None
        self._output = b""
        self._testcase = testcase
        spawn: Any = reactor
        self._process = spawn.spawnProcess(
            self, sys.executable, [sys.executable, *arguments], environment(), str(EXAMPLES)
        )
        testcase.addCleanup(self.end)

    @property
    def output(self) -> str:
        """What it has printed, on both channels."""
        return self._output.decode()

    @property
    def lines(self) -> list[str]:
        """The lines that it has printed."""
        return self.output.splitlines()

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803 - Twisted's
        """Keep what is printed."""
        self._output += data

    def processEnded(self, reason: Failure) -> None:
        """Keep the status."""
        error: Any = reason.value
        self.status = error.exitCode if error.signal is None else -error.signal

    async def prints(self, text: str, times: int = 1) -> None:
        """Wait until a text has been printed, so many times."""
        await wait_for(
            f"{text!r} in the output",
            lambda: self.output.count(text) >= times or self._is_over(),
            deadline=20,
        )
        self._testcase.assertGreaterEqual(self.output.count(text), times, self.output)

    def _is_over(self) -> bool:
        return self.status is not None

    async def ends(self) -> int | None:
        """Wait until it has ended by itself, and return its status."""
        await wait_for("the program to end", self._is_over, deadline=20)
        return self.status

    def type(self, text: str) -> None:
        """Write to its standard input."""
        self._process.write(text.encode())

    def terminate(self) -> None:
        """Ask it to end, as Ctrl-C or a service manager does."""
        self._process.signalProcess("TERM")

    async def end(self) -> None:
        """End it, whatever it does."""
        try:
            self._process.signalProcess("KILL")
        except ProcessExitedAlready:
            return
        await wait_for("a killed program to end", self._is_over)


class ProgramTestCase(TestCase):
    """Tests of programs beside a real PostgreSQL."""

    timeout = 40

    def program(self, name: str) -> Program:
        """Start one of the example programs by Python."""
        return Program(self, name)

    def twistd(self, name: str) -> Program:
        """Start one of the example programs by ``twistd -n``."""
        return Program(self, "-c", _TWISTD, "--pidfile=", "-ny", name)

    def notify(self, channel: str, payload: str = "") -> None:
        """Notify, as somebody else's session."""
        execute(shared_server().dsn, "select pg_notify(%s, %s)", (channel, payload))
