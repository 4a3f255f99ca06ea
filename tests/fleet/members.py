"""The processes of a fleet: real ``twistd doorbell``, each with a configuration file of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from psycopg2.extensions import parse_dsn

from tests.commands import environment
from tests.fleet.ledger import LOOPS
from tests.fleet.wire import Wire

_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
_GUARD = 'read -r _; kill -KILL "$1"'


@dataclass(frozen=True)
class Terms:
    """
    The settings on which take-over depends.

    :ivar lock_interval: seconds between two tries of a standby, and two signs of life of a holder.
    :ivar max_loops: how many loops a process takes.
    """

    lock_interval: float = 0.3
    max_loops: int = 2

    @property
    def lease(self) -> float:
        """For how long a holder may be silent; then the server frees its lock."""
        return 3 * self.lock_interval


HASTY = Terms()
"""Short ones: many faults a minute."""

USUAL = Terms(2.0)
"""The defaults."""


class Member:
    """
    A place in the fleet: one process at a time.

    It doesn't outlive its parent, not even when that is killed, or when it is frozen itself.

    :param number: tells its ``application_name``, ``fleet-NUMBER``.
    :param folder: for its configuration file and its log.
    :param dsn: the server; the doorbell reaches it by a wire of its own, its functions don't.
    :ivar wire: that.
    :ivar boot: which process it is; each start is another one.
    :ivar frozen: whether it was stopped by a signal.
    """

    def __init__(self, number: int, folder: Path, dsn: str, terms: Terms) -> None:
        self.name = f"fleet-{number}"
        address = parse_dsn(dsn)
        self.wire = Wire((address["host"], int(address["port"])))
        wired = f"{dsn} port={self.wire.port} sslmode=disable gssencmode=disable"
        self.frozen = False
        self.boot = ""
        self.log = folder / f"{self.name}.log"
        self._boots = (f"{self.name}.{boot}" for boot in count(1))
        self._folder = folder
        self._dsn = dsn
        self._config = folder / f"{self.name}.toml"
        wired = f"{wired} application_name={self.name}"
        self._config.write_text(configuration(self.name, wired, terms))
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether there is a process; it may be frozen."""
        return self._process is not None and self._process.poll() is None

    @property
    def well(self) -> bool:
        """Whether there is one that nothing was done to."""
        return self.alive and not self.frozen and not self.wire.silent

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """How the last one ended; None when it lives, or when there was none."""
        return None if self._process is None else self._process.poll()

    def __str__(self) -> str:
        state = "frozen" if self.frozen else "cut off" if self.wire.silent else "well"
        if not self.alive:
            words = self.log.read_text(errors="replace").splitlines()[-1:] if self.boot else []
            state = f"ended with {self.status}, its last words: {words}"
        return f"{self.boot}: {state}"

    def start(self) -> None:
        """Start a process; there must be none."""
        assert not self.alive
        self._dismiss_guard()
        self.boot = next(self._boots)
        self.frozen = False
        options = ["-n", "--pidfile=", "doorbell", "--config", str(self._config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _TWISTD, *options],
                cwd=self._folder,
                env={**environment(), "FLEET_DSN": self._dsn, "FLEET_BOOT": self.boot},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        guard = ["/bin/sh", "-c", _GUARD, "sh", str(self._process.pid)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE)

    def freeze(self) -> None:
        """Stop it in whatever it does."""
        self.signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """Have it go on."""
        self.frozen = False
        self.signal(signal.SIGCONT)

    @property
    def stands_still(self) -> bool:
        """Whether it is stopped by a signal indeed."""
        with suppress(FileNotFoundError):
            stat = Path(f"/proc/{self.pid}/stat").read_text()
            return stat.rpartition(")")[2].split()[0] == "T"
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing when it has ended."""
        if self.alive:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, and see that it is gone; nothing when it has never been started."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        self.frozen = False
        self._dismiss_guard()

    def close(self) -> None:
        """End what there is of it."""
        self.kill()
        self.wire.close()

    def _dismiss_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.kill()
            guard.communicate()


def configuration(name: str, dsn: str, terms: Terms) -> str:
    """Return the text of a configuration file, in which each process has a host name of its own."""
    tables = [
        "interval = 0",
        f'host = "{name}"',
        f"lock_interval = {terms.lock_interval}",
        f"max_loops = {terms.max_loops}",
        "[database]",
        f"dsn = {json.dumps(dsn)}",
        "connect_timeout = 2.0",
        "query_timeout = 2.0",
        "[retry]",
        "maximum = 0.3",
    ]
    for loop in LOOPS:
        tables += [
            "[[loop]]",
            f'name = "{loop}"',
            f'lock = "{loop}"',
            "minimum_delay = 0.05",
            "[[function]]",
            f'call = "tests.fleet.work:{loop}"',
            f'loop = "{loop}"',
            f'channels = ["{loop}"]',
        ]
    return "\n".join([*tables, ""])
