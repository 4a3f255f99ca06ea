"""What a running PostgreSQL writes about itself: its file ``postmaster.pid``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

SOCKET = ".s.PGSQL."


class PidFile(NamedTuple):
    """The lines of ``postmaster.pid`` that matter here.

    :param pid: the server's process, alive or not.
    :param port: the number in its TCP port and in its socket's name.
    :param directory: where its Unix socket is, or ``""``.
    :param address: where it listens for TCP, or ``""``.
    :param ready: whether it takes connections.
    """

    pid: int
    port: int
    directory: str
    address: str
    ready: bool

    @classmethod
    def of(cls, data: Path) -> PidFile | None:
        """Read the file in a data folder.

        :returns: None where there is none, or the server has written only a part of it.
        :raises PermissionError: it is not ours to read.
        """
        try:
            lines = (data / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
            pid, _, _, port, directory, address, _, state = lines[:8]
            return cls(int(pid), int(port), directory, address, state.split() in _READY)
        except (FileNotFoundError, ValueError):
            return None

    def is_alive(self, data: Path) -> bool:
        """Tell whether that server runs, and its number is not another process' by now."""
        try:
            os.kill(self.pid, 0)
            return Path(f"/proc/{self.pid}/cwd").samefile(data)
        except ProcessLookupError:
            return False
        except PermissionError:  # another user's, so PostgreSQL's word must do
            return True
        except FileNotFoundError:  # it has just died, or this system has no /proc
            return not Path("/proc/self/cwd").exists()

    def dsn(self, data: Path) -> str:
        """Return how to connect to it."""
        if self.address:
            host = "127.0.0.1" if self.address in {"*", "0.0.0.0"} else self.address
            return conninfo(host, self.port)
        here = (data / f"{SOCKET}{self.port}").exists()
        return conninfo(str(data) if here else self.directory, self.port)


_READY = (["ready"], ["standby"])


def conninfo(host: str, port: int) -> str:
    """Return a connection string for the superuser and database that ``initdb`` makes."""
    if not all(letter.isalnum() or letter in "/._-:" for letter in host):
        host = "'" + host.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"host={host} port={port} user=postgres dbname=postgres"
