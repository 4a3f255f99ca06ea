"""PgBouncer for tests: a real one in front of a server, where this machine has the program."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import parse_dsn
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.servers import open_folder, until
from txdoorbell.embedded.binaries import Account, run_as
from txdoorbell.embedded.server import free_port

_SETTINGS = """\
[databases]
{databases}
* = host={host} port={server_port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
admin_users = {user}
pool_mode = {mode}
"""


class PgBouncer:
    """
    A pooler on 127.0.0.1 that runs from the start.

    :param testcase: its cleanup ends the pooler.
    :param dsn: the server behind it.
    :param mode: ``session``, ``transaction`` or ``statement``.
    :param databases: lines of its section of databases, besides the one for all others.
    :param settings: further ones of PgBouncer's.
    :raises SkipTest: there is no such program here.
    :ivar dsn: how to connect through it.
    """

    def __init__(
        self,
        testcase: SynchronousTestCase,
        dsn: str,
        mode: str = "session",
        databases: str = "",
        **settings: Any,
    ) -> None:
        self._program = find_pgbouncer()
        server = parse_dsn(dsn)
        self._port = free_port()
        self._folder = open_folder(testcase)
        text = _SETTINGS.format(
            host=server["host"],
            server_port=server["port"],
            user=server["user"],
            port=self._port,
            mode=mode,
            databases=databases,
        )
        text += "".join(f"{name} = {value}\n" for name, value in settings.items())
        (self._folder / "pgbouncer.ini").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None
        self.dsn = f"{dsn} host=127.0.0.1 port={self._port}"
        testcase.addCleanup(self.stop)
        self.start()

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        account = Account.of("nobody") if os.geteuid() == 0 else None
        with (self._folder / "pgbouncer.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "pgbouncer.ini"],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **run_as(account),
            )
        until("PgBouncer to take connections", self._answers)

    def _answers(self) -> bool:
        with suppress(psycopg2.OperationalError):
            self.command("show version")
            return True
        return False

    def stop(self) -> None:
        """End it, and all connections through it; nothing when it doesn't run."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(10.0)

    def freeze(self) -> None:
        """Let it do nothing until it is stopped."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def command(self, command: str) -> None:
        """Give a command on its console, such as ``reconnect``."""
        console = psycopg2.connect(f"{self.dsn} dbname=pgbouncer", connect_timeout=10)
        try:
            console.autocommit = True
            with console.cursor() as cursor:
                cursor.execute(command)
        finally:
            console.close()


def find_pgbouncer() -> Path:
    """
    Find the program.

    :raises SkipTest: it isn't there; the text says how to get it.
    """
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("pgbouncer", path=path)
    if found is None:
        raise SkipTest("no PgBouncer on this machine; on Debian: apt-get install pgbouncer")
    return Path(found)
