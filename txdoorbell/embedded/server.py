"""One private PostgreSQL: started, stopped, killed, by calls that block.

It does not outlive the process that started it, not even when that is killed:
a small guard waits for our end and then stops it. Where the guard was killed
too, the next start in the same folder stops what was left, before it starts its
own.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from txdoorbell.embedded.binaries import (
    Account,
    EmbeddedUnavailable,
    find_binaries,
    run_as,
    runnable,
)
from txdoorbell.embedded.datafolder import DataFolder, last_words
from txdoorbell.embedded.pidfile import PidFile, conninfo

MARK = "cluster_name=txdoorbell"
SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

_GUARD = 'read -r _; read -r pid < postmaster.pid && [ "$pid" = "$1" ] && kill -INT "$pid"'


class PostgresServer:
    """A PostgreSQL of our own; every call blocks, and none needs a reactor.

    :param data: the folder of its files; made, with a new cluster in it, when
        it does not exist or is empty.
    :param binaries: the directory of ``initdb`` and ``postgres``; None: see
        :func:`find_binaries`.
    :param tcp: listen on 127.0.0.1, and on no Unix socket.
    :param port: None: a free one, kept while this object lives.
    :param settings: settings of PostgreSQL, such as ``{"fsync": "off"}``.
    """

    def __init__(
        self,
        data: Path,
        *,
        binaries: Path | None = None,
        tcp: bool = False,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = DataFolder(Path(data))
        self._binaries = binaries
        self._tcp = tcp
        self._may_change_port = tcp and port is None
        self._port = port or (free_port() if tcp else 5432)
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: tuple[subprocess.Popen[bytes], int] | None = None

    @property
    def data(self) -> Path:
        """The folder of its files, absolute."""
        return self._folder.path

    @property
    def dsn(self) -> str:
        """How to connect to it as its superuser; the same after a restart."""
        if self._tcp:
            return conninfo("127.0.0.1", self._port)
        return conninfo(str(self._folder.socket_directory(self._port)), self._port)

    @property
    def pid(self) -> int | None:
        """The number of its main process; None when it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def check(self) -> None:
        """Find out what would prevent a start, and change nothing in the folder.

        :raises EmbeddedUnavailable: this would.
        """
        self._prepare()
        if self.pid is None and self.data.exists():
            self._folder.claim()
            self._folder.release()

    def start(self, timeout: float = 30.0) -> None:
        """Start it, and return when it takes connections; nothing when it runs.

        :param timeout: seconds, for making the cluster as well.
        :raises EmbeddedUnavailable: it can't be; the text is one line, and the
            last of it is the server's own word.
        """
        if self.pid is not None:
            return
        self._release()
        deadline = time.monotonic() + timeout
        binaries, account = self._prepare()
        self._folder.claim()
        try:
            self._see_off(deadline)
            if self._folder.is_new:
                sync = self._settings.get("fsync") != "off"
                self._folder.initialise(binaries, account, sync, timeout)
            self._launch(binaries, account, deadline)
        except BaseException:
            self.kill()
            raise
        self._may_change_port = False

    def stop(self, mode: str = "fast", timeout: float = 10.0) -> None:
        """Stop it, and return when it is gone; nothing when it does not run.

        :param mode: PostgreSQL's own: ``smart`` waits for its clients, ``fast``
            ends their sessions, ``immediate`` does not even tidy up.
        :param timeout: seconds; after it, ``immediate`` is tried, then
            ``SIGKILL``.
        :raises ValueError: an unknown mode.
        """
        if mode not in SIGNALS:
            raise ValueError(f"no way to stop PostgreSQL: {mode!r}; there are {', '.join(SIGNALS)}")
        self._end((SIGNALS[mode], timeout), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

    def kill(self) -> None:
        """End its main process by ``SIGKILL``, as a crash would."""
        self._end((signal.SIGKILL, 10.0))

    def _end(self, *steps: tuple[signal.Signals, float]) -> None:
        for number, patience in steps:
            if self._process is None:
                break
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)  # a frozen one would not take notice
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
        self._release()

    def _release(self) -> None:
        """Drop all that belongs to a run that is over."""
        self._process = None
        self._dismiss_guard()
        self._folder.release()

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            guard, lifeline = self._guard
            self._guard = None
            guard.kill()
            guard.wait()
            os.close(lifeline)

    def _prepare(self) -> tuple[Path, Account | None]:
        try:
            account = self._folder.account()
            binaries, version = runnable(self._binaries or find_binaries(), account)
            self._folder.check(version)
        except OSError as error:
            raise EmbeddedUnavailable(f"{self.data}: {error.strerror}") from None
        return binaries, account

    def _see_off(self, deadline: float) -> None:
        """Stop a server that an earlier process of ours has left running here."""
        server = PidFile.of(self.data)
        if server is None:
            return
        if server.is_alive(self.data):
            if MARK not in self._folder.command_line():
                raise EmbeddedUnavailable(f"{self.data} is in use by PostgreSQL {server.pid}")
            with suppress(ProcessLookupError):  # its guard may be quicker
                os.kill(server.pid, signal.SIGINT)
        while server.is_alive(self.data):
            _wait(deadline, f"{self.data}: PostgreSQL {server.pid} of an earlier run does not stop")
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self, binaries: Path, account: Account | None, deadline: float) -> None:
        while not self._becomes_ready(self._spawn(binaries, account), deadline):
            self._dismiss_guard()
            log = self._folder.log()
            failure = f"{self.data}: PostgreSQL did not start: {last_words(log)}"
            if b"Address already in use" in log and self._may_change_port:
                self._port = free_port()
            elif b"is still in use" not in log:
                # What is: the shared memory of a killed server, until its last child has ended.
                raise EmbeddedUnavailable(failure)
            _wait(deadline, failure)

    def _spawn(self, binaries: Path, account: Account | None) -> subprocess.Popen[bytes]:
        folder, who = self._folder, run_as(account)
        with folder.seen_by(account) as (name, descriptors), folder.open_log(account) as log:
            settings = {**self._addresses(name, account), **self._settings}
            options = [word for item in settings.items() for word in ("-c", "=".join(item))]
            self._process = subprocess.Popen(
                [binaries / "postgres", "-D", name, "-c", MARK, *options],
                cwd="/",
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **who,
            )
        read, lifeline = os.pipe()
        command = ["/bin/sh", "-c", _GUARD, "sh", str(self._process.pid)]
        self._guard = subprocess.Popen(command, cwd=self.data, stdin=read, **who), lifeline
        os.close(read)
        return self._process

    def _addresses(self, name: str, account: Account | None) -> dict[str, str]:
        """Say where the server listens and what it says.

        :param name: what the server calls its folder.
        """
        directory = ""
        if not self._tcp:
            path = self._folder.socket_directory(self._port)
            if path != self.data:
                self._folder.make_socket_directory(path, account)
                name = str(path)
            directory = '"' + name.replace('"', '""') + '"'  # the setting is a list
        return {
            "listen_addresses": "127.0.0.1" if self._tcp else "",
            "port": str(self._port),
            "unix_socket_directories": directory,
            "logging_collector": "off",
            "log_destination": "stderr",
            "lc_messages": "C",
        }

    def _becomes_ready(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        while process.poll() is None:
            server = PidFile.of(self.data)
            if server is not None and server.ready and server.pid == process.pid:
                return True
            _wait(deadline, f"{self.data}: PostgreSQL is not ready in time")
        return False


def free_port() -> int:
    """Choose a TCP port that nobody listens on now.

    It is none of those from which the system serves outgoing connections: one
    of these could take it while the server is restarted, or, trying to reach
    it, even connect to itself.
    """
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _wait(deadline: float, failure: str) -> None:
    if time.monotonic() > deadline:
        raise EmbeddedUnavailable(failure)
    time.sleep(0.005)  # noqa: TID251 - PostgreSQL tells of its state by a file
