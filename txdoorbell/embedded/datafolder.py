"""The folder that holds the files of one private PostgreSQL.

It belongs to one process at a time, which holds a lock on it. Nothing outside
of it is changed: no user is made, and no parent's mode.

The server of root runs as ``nobody``, who can't enter a folder below a private
home. PostgreSQL is then given the folder as an open descriptor, by its name in
``/proc/self/fd``, which leads there without passing the folders above.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from txdoorbell.embedded.binaries import Account, EmbeddedUnavailable, run_as
from txdoorbell.embedded.pidfile import SOCKET, PidFile

LOG = "postgresql.log"
PATH_LIMIT = 103  # bytes in the name of a socket: 107 on Linux, and less elsewhere


class DataFolder:
    """One folder, for one cluster.

    :param path: the folder; it is made when needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None
        self._away: Path | None = None

    @property
    def is_new(self) -> bool:
        """Whether ``initdb`` has not been here yet."""
        return not (self.path / "PG_VERSION").exists()

    def account(self) -> Account | None:
        """Tell whom the server must run as.

        :returns: None for the user we are. For root: the owner of the cluster,
            or ``nobody`` where there is none yet.
        :raises EmbeddedUnavailable: the cluster is another user's.
        :raises OSError: the folder is not ours to look into.
        """
        owner = None if self.is_new else self.path.stat().st_uid
        if os.geteuid() == 0:
            if owner == 0:
                raise EmbeddedUnavailable(f"{self.path}: PostgreSQL refuses a cluster of root's")
            return Account.of("nobody" if owner is None else owner)
        if owner not in {None, os.geteuid()}:
            raise EmbeddedUnavailable(f"{self.path} belongs to another user")
        return None

    def check(self, version: str) -> None:
        """Refuse a folder that PostgreSQL can't use, and leave it as it is.

        :param version: the major version of the programs.
        :raises EmbeddedUnavailable: it holds something else, or a cluster of
            another version.
        :raises OSError: it is no folder, or not ours to read.
        """
        if not self.is_new:
            made_by = (self.path / "PG_VERSION").read_text(errors="replace").strip()
            if made_by != version:
                raise EmbeddedUnavailable(
                    f"{self.path} was made by PostgreSQL {made_by}, and this is {version}"
                )
        elif self.path.exists() and any(self.path.iterdir()):
            raise EmbeddedUnavailable(
                f"{self.path} is not empty and holds no PostgreSQL cluster; left as it is"
            )

    def claim(self) -> None:
        """Take the folder for this process, until :meth:`release` or our death.

        :raises EmbeddedUnavailable: another process has it, or it can't be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise EmbeddedUnavailable(f"{self.path}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            server = PidFile.of(self.path)
            number = f" (its PostgreSQL is process {server.pid})" if server else ""
            raise EmbeddedUnavailable(f"{self.path} is in use by another process{number}") from None
        self._lock = lock

    def release(self) -> None:
        """Give the folder back; releasing twice is releasing once."""
        if self._away is not None:
            shutil.rmtree(self._away, ignore_errors=True)
            self._away = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def seen_by(self, account: Account | None) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Give the folder a name that a program of somebody's can open.

        :returns: a context of that name, and of the descriptors which the
            program must inherit for it.
        """
        if account is None or self._can_enter(account):
            yield str(self.path), ()
            return
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            name = f"/proc/self/fd/{descriptor}"
            if not Path(name).is_dir():
                raise EmbeddedUnavailable(f"{account.name} can't enter a folder above {self.path}")
            yield name, (descriptor,)
        finally:
            os.close(descriptor)

    def _can_enter(self, account: Account) -> bool:
        """Ask the system itself, which knows about ACLs and mounts as well."""
        command = ["/bin/sh", "-c", 'cd "$1" 2>/dev/null', "sh", str(self.path)]
        return subprocess.run(command, cwd="/", check=False, **run_as(account)).returncode == 0

    def initialise(
        self, binaries: Path, account: Account | None, sync: bool, patience: float
    ) -> None:
        """Make the cluster: superuser ``postgres``, UTF-8, no passwords.

        :param sync: whether it must survive a power cut.
        :param patience: seconds.
        :raises EmbeddedUnavailable: ``initdb`` failed; the folder is empty again.
        """
        if account is not None:
            os.chown(self.path, account.uid, account.gid)
        self.path.chmod(0o700)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]
        options += [] if sync else ["--no-sync"]
        with tempfile.TemporaryFile() as output:
            try:
                self._initdb([binaries / "initdb", *options], account, output, patience)
            except BaseException as error:
                self._empty()
                if not isinstance(error, (OSError, subprocess.SubprocessError)):
                    raise
                output.seek(0)
                words = last_words(output.read()) or str(error)
                raise EmbeddedUnavailable(f"{self.path}: initdb failed: {words}") from None

    def _initdb(
        self, command: list[str | Path], account: Account | None, output: IO[bytes], patience: float
    ) -> None:
        with self.seen_by(account) as (name, descriptors):
            subprocess.run(
                [*command, "-D", name],
                check=True,
                cwd="/",
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=output,  # a file: a pipe would end initdb together with us
                stderr=subprocess.STDOUT,
                timeout=patience,
                **run_as(account),
            )

    def _empty(self) -> None:
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def open_log(self, account: Account | None) -> IO[bytes]:
        """Begin a new log; that of the run before is replaced."""
        log = self.path / LOG
        log.unlink(missing_ok=True)
        # Made afresh: we may be root, and must not write through a link that another user left.
        opened = log.open("xb")
        os.fchmod(opened.fileno(), 0o600)
        if account is not None:
            os.fchown(opened.fileno(), account.uid, account.gid)
        return opened

    def log(self) -> bytes:
        """Return what the server has said in its last run."""
        try:
            return (self.path / LOG).read_bytes()
        except OSError:
            return b""

    def command_line(self) -> str:
        """Return how the last server here was started, or ``""``."""
        try:
            return (self.path / "postmaster.opts").read_text(errors="replace")
        except OSError:
            return ""

    def socket_directory(self, port: int) -> Path:
        """Tell where a client finds the socket: in the folder, or where the name is shorter."""
        name = os.fsencode(self.path / f"{SOCKET}{port}")
        if len(name) <= PATH_LIMIT and b"," not in name and str(self.path).isprintable():
            return self.path
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return Path(f"/tmp/txdoorbell-{digest}")

    def make_socket_directory(self, directory: Path, account: Account | None) -> None:
        """Make that other place, private as well.

        :raises EmbeddedUnavailable: somebody else has made it.
        """
        owner, group = account[1:] if account else (os.geteuid(), -1)
        try:
            directory.mkdir(mode=0o700)
            os.chown(directory, owner, group, follow_symlinks=False)
        except FileExistsError:
            facts = directory.lstat()
            if not directory.is_dir() or (facts.st_uid, facts.st_mode & 0o777) != (owner, 0o700):
                raise EmbeddedUnavailable(f"{directory} is in the way") from None
        self._away = directory


def last_words(log: bytes) -> str:
    """Return the one line of a log that says best why the program ended."""
    lines = [line.strip() for line in log.decode(errors="replace").splitlines() if line.strip()]
    grave = [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "error:"))]
    return (grave or lines or [""])[-1]
