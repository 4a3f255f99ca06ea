"""Which folders a private PostgreSQL takes, and which it leaves as they are."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.servers import execute, open_folder, private_server, until
from txdoorbell.embedded import EmbeddedUnavailable, PostgresServer, find_binaries, running_dsn
from txdoorbell.embedded.binaries import Account, run_as, runnable

IS_ROOT = os.geteuid() == 0
NOT_ROOT = None if IS_ROOT else "only root runs PostgreSQL as somebody else"


def state(folder: Path) -> list[object]:
    """Return all that a change in a folder would show in."""
    facts = [(path, path.lstat().st_mode, path.lstat().st_uid) for path in folder.rglob("*")]
    return [sorted(facts), folder.stat().st_mode, folder.stat().st_uid]


class RefusedTests(SynchronousTestCase):
    """A folder that is no good for a server is refused, and stays as it is."""

    def refused(self, data: Path) -> str:
        """Try to use a folder; return the error."""
        server = PostgresServer(data)
        with self.assertRaises(EmbeddedUnavailable) as checked:
            server.check()
        with self.assertRaises(EmbeddedUnavailable) as caught:
            server.start()
        self.assertEqual(str(checked.exception), str(caught.exception))
        self.assertIn(str(data.absolute()), str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def test_other_contents(self) -> None:
        """Somebody's documents are not turned into a database."""
        data = Path(self.mktemp())
        data.mkdir(mode=0o755)
        (data / "letter.txt").write_text("Dear")
        before = state(data)
        self.assertIn("not empty", self.refused(data))
        self.assertEqual(state(data), before)

    def test_file(self) -> None:
        """A file is no folder."""
        data = Path(self.mktemp())
        data.touch()
        self.assertIn("Not a directory", self.refused(data))

    def test_other_version(self) -> None:
        """A cluster of another PostgreSQL is named with both versions."""
        _, version = runnable(find_binaries(), Account.of("nobody") if IS_ROOT else None)
        data = Path(self.mktemp())
        data.mkdir()
        (data / "PG_VERSION").write_text("9\n")
        if IS_ROOT:
            os.chown(data, Account.of("nobody").uid, -1)
        before = state(data)
        self.assertIn(f"made by PostgreSQL 9, and this is {version}", self.refused(data))
        self.assertEqual(state(data), before)

    def test_another_users(self) -> None:
        """Where root's first try has been, somebody else's gets one line, not a traceback."""
        data = open_folder(self) / "doorbell-data"
        data.mkdir(mode=0o700)
        server = PostgresServer(data)
        os.seteuid(Account.of("nobody").uid)
        self.addCleanup(os.seteuid, 0)
        for attempt in (server.check, server.start, lambda: running_dsn(data)):
            with self.assertRaisesRegex(EmbeddedUnavailable, f"{data}: Permission denied"):
                attempt()

    test_another_users.skip = NOT_ROOT  # type: ignore[attr-defined]

    def test_roots_cluster(self) -> None:
        """A cluster that belongs to root is refused, as PostgreSQL itself would."""
        data = Path(self.mktemp())
        data.mkdir()
        (data / "PG_VERSION").write_text("9\n")
        self.assertIn("root", self.refused(data))

    test_roots_cluster.skip = NOT_ROOT  # type: ignore[attr-defined]

    def test_somebody_elses_server(self) -> None:
        """A server that we have not started is not stopped, and its number is told."""
        ours = private_server(self, tcp=False)
        ours.stop()
        account = Account.of(ours.data.stat().st_uid) if IS_ROOT else None
        binaries, _ = runnable(find_binaries(), account)
        folder = os.open(ours.data, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        name = f"/proc/self/fd/{folder}"
        other = subprocess.Popen(
            [binaries / "postgres", "-D", name, "-k", name, "-c", "listen_addresses="],
            cwd="/",
            pass_fds=(folder,),
            stderr=subprocess.DEVNULL,
            **run_as(account),
        )
        self.addCleanup(other.wait)
        self.addCleanup(other.terminate)
        until("the other server to be ready", lambda: self.is_ready(ours.data))
        with self.assertRaisesRegex(EmbeddedUnavailable, f"in use by PostgreSQL {other.pid}"):
            ours.start()
        self.assertIsNone(other.poll())
        self.assertEqual(execute(running_dsn(ours.data), "select 1"), [(1,)])

    def is_ready(self, data: Path) -> bool:
        """Tell whether a server says that it takes connections."""
        file = data / "postmaster.pid"
        return file.exists() and "ready" in file.read_text()


class TakenTests(SynchronousTestCase):
    """Folders that look bad at first, and are not."""

    def serve(self, data: Path, binaries: Path | None = None) -> PostgresServer:
        """Start a server in a folder and see that it answers."""
        server = PostgresServer(data, binaries=binaries, settings={"fsync": "off"})
        self.addCleanup(server.stop, "immediate")
        server.start()
        self.assertEqual(execute(server.dsn, "select 1"), [(1,)])
        return server

    def test_new(self) -> None:
        """A folder that is not there is made, with those above it."""
        data = Path(self.mktemp()) / "a" / "b"
        self.serve(data)
        self.assertEqual(data.stat().st_mode & 0o777, 0o700)

    def test_empty(self) -> None:
        """An empty folder is taken."""
        data = Path(self.mktemp())
        data.mkdir(mode=0o755)
        self.serve(data)

    def test_below_a_private_home(self) -> None:
        """Root's first try in ``/root/project`` works, and ``/root`` stays private."""
        home = Path(tempfile.mkdtemp(dir=open_folder(self)))
        project = home / "project"
        project.mkdir()
        before = [(path, path.stat().st_mode, path.stat().st_uid) for path in (home, project)]
        server = self.serve(project / "doorbell-data")
        server.stop()
        server.start()
        self.assertEqual(execute(running_dsn(server.data), "select 1"), [(1,)])
        after = [(path, path.stat().st_mode, path.stat().st_uid) for path in (home, project)]
        self.assertEqual(after, before)

    def test_system_programs(self) -> None:
        """The PostgreSQL of the system does as well, where there is one, crash included."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise SkipTest("this system has no PostgreSQL of its own")
        home = Path(tempfile.mkdtemp(dir=open_folder(self)))
        server = self.serve(home / "data", binaries=found[-1].parent)
        server.kill()
        server.start()
        self.assertEqual(execute(server.dsn, "select 1"), [(1,)])

    def test_root_steps_down(self) -> None:
        """Root's server is run by ``nobody``; a cluster that has an owner, by its owner."""
        server = self.serve(Path(self.mktemp()))
        self.assertEqual(Path(f"/proc/{server.pid}").stat().st_uid, Account.of("nobody").uid)
        server.stop()
        daemon = Account.of("daemon")
        for path in (server.data, *server.data.rglob("*")):
            os.chown(path, daemon.uid, daemon.gid)
        again = self.serve(server.data)
        self.assertEqual(Path(f"/proc/{again.pid}").stat().st_uid, daemon.uid)

    test_root_steps_down.skip = NOT_ROOT  # type: ignore[attr-defined]

    def test_stale_pid_file(self) -> None:
        """A pid file whose number is another process' by now does not prevent a start."""
        server = private_server(self)
        lines = (server.data / "postmaster.pid").read_text().splitlines()
        server.stop()
        stale = "\n".join([str(os.getpid()), *lines[1:]]) + "\n"
        (server.data / "postmaster.pid").write_text(stale)
        self.assertRaises(EmbeddedUnavailable, running_dsn, server.data)
        server.start()
        self.assertEqual(execute(server.dsn, "select 1"), [(1,)])

    def test_link_in_the_place_of_the_log(self) -> None:
        """Root does not write through a link that the server's user has left."""
        server = private_server(self, start=False)
        letter = Path(self.mktemp())
        letter.write_text("Dear")
        (server.data / "postgresql.log").unlink(missing_ok=True)
        (server.data / "postgresql.log").symlink_to(letter.absolute())
        server.start()
        self.assertEqual(letter.read_text(), "Dear")

    def test_check_changes_nothing(self) -> None:
        """Asking whether a start would succeed makes no folder and starts no server."""
        data = Path(self.mktemp())
        server = PostgresServer(data)
        server.check()
        self.assertFalse(data.exists())
        self.assertIsNone(server.pid)
