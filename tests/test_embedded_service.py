"""What becomes of the private PostgreSQL together with the application that it serves."""

from __future__ import annotations

import contextlib  # not suppress itself: to trial that name in a module is a setting
import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.servers import execute, private_server, until
from txdoorbell.embedded import EmbeddedService, EmbeddedUnavailable, PostgresServer, running_dsn

NO_PROC = None if Path("/proc/self/fd").exists() else "this system has no /proc to look into"


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, be it that nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def guard_of(pid: int) -> int:
    """Return the number of the shell that watches over a server."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            is_guard = words[0] == b"/bin/sh" and b"postmaster.pid" in b" ".join(words)
            if is_guard and words[-2] == str(pid).encode():
                return int(process.name)
    raise AssertionError(f"nobody watches over server {pid}")


class ServiceTests(TestCase):
    """The server as a part of an application."""

    def test_service(self) -> Deferred[None]:
        """It takes connections when the service has started, and is gone when it has stopped."""
        server = private_server(self, start=False)
        service = EmbeddedService(IReactorThreads(reactor), server)
        service.startService()
        self.assertEqual(execute(server.dsn, "select 1"), [(1,)])
        pid = server.pid or 0

        def stopped(_: None) -> None:
            self.assertTrue(is_gone(pid))
            self.assertFalse(service.running)

        return service.stopService().addCallback(stopped)


class OrphanTests(SynchronousTestCase):
    """A server does not outlive the process that started it."""

    skip = NO_PROC

    def start_elsewhere(self, data: Path) -> tuple[subprocess.Popen[str], int]:
        """Start a server from another process; return that process and the server's number."""
        script = (
            "import sys, time; from pathlib import Path; from txdoorbell.embedded import *\n"
            "server = PostgresServer(Path(sys.argv[1]), settings={'fsync': 'off'})\n"
            "server.start(); print(server.pid, flush=True); sys.stdin.read()"
        )
        other = subprocess.Popen(
            [sys.executable, "-c", script, str(data)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdout is not None
        pid = int(other.stdout.readline())
        self.addCleanup(until, "the other process' server to end", lambda: is_gone(pid))
        self.addCleanup(other.communicate)
        self.addCleanup(other.kill)
        return other, pid

    def test_parent_is_killed(self) -> None:
        """Where twistd was killed, its server stops by itself and tidily."""
        data = private_server(self, start=False).data
        other, pid = self.start_elsewhere(data)
        other.kill()
        until("the orphaned server to end", lambda: is_gone(pid))
        self.assertFalse((data / "postmaster.pid").exists())

    def test_started_again_at_once(self) -> None:
        """A supervisor may start twistd again in the very moment in which it was killed."""
        data = private_server(self, start=False).data
        other, pid = self.start_elsewhere(data)
        other.kill()
        other.wait()
        again = PostgresServer(data)
        self.addCleanup(again.stop)
        again.start()
        self.assertNotIn(again.pid, {None, pid})

    def test_guard_is_killed_too(self) -> None:
        """A server that nothing has stopped is stopped by the next start in its folder."""
        data = private_server(self, start=False).data
        other, pid = self.start_elsewhere(data)
        os.kill(guard_of(pid), signal.SIGKILL)
        other.kill()
        other.wait()
        self.assertFalse(is_gone(pid))
        again = PostgresServer(data)
        self.addCleanup(again.stop)
        again.start()
        self.assertTrue(is_gone(pid))
        self.assertEqual(execute(running_dsn(data), "select 1"), [(1,)])

    def test_in_use(self) -> None:
        """The second of two processes gets one clear line; the first one goes on."""
        data = private_server(self, start=False).data
        _, pid = self.start_elsewhere(data)
        second = PostgresServer(data)
        for attempt in (second.start, second.check):
            with self.assertRaisesRegex(EmbeddedUnavailable, f"in use .* process {pid}"):
                attempt()
        self.assertEqual(execute(second.dsn, "select 1"), [(1,)])
        self.assertIsNone(second.pid)
