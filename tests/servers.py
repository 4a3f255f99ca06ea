"""PostgreSQL servers for tests: real ones, on TCP, without fsync.

They live in folders of the current directory, which under trial is its
``_trial_temp``, and end with the process that started them.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.folders import borrow, give_back, new_folder
from txdoorbell.embedded import EmbeddedUnavailable, PostgresServer, find_binaries

QUICK = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB"}


@cache
def shared_server() -> PostgresServer:
    """Return the one server of this process, running; leave it so.

    :raises SkipTest: there are no programs to run it with.
    """
    _need_programs()
    server = PostgresServer(new_folder(), tcp=True, settings=QUICK)
    atexit.register(server.stop, "immediate")
    server.start()
    return server


def private_server(
    testcase: SynchronousTestCase, *, start: bool = True, **options: Any
) -> PostgresServer:
    """Return a server for one test, which may stop it, kill it or freeze it.

    :param testcase: its cleanup ends the server.
    :param start: whether it is to run already; its cluster is there in any
        case, unless ``binaries`` are given.
    :param options: those of :class:`PostgresServer`; ``settings`` are added to
        the quick ones.
    :raises SkipTest: there are no programs to run it with.
    """
    _need_programs()
    folder = new_folder() if "binaries" in options else borrow()
    settings = {**QUICK, **options.pop("settings", {})}
    server = PostgresServer(folder, **{"tcp": True, "settings": settings, **options})
    if "binaries" not in options:
        testcase.addCleanup(give_back, folder)
    testcase.addCleanup(server.stop, "immediate")
    if start:
        server.start()
    return server


def standby_server(testcase: SynchronousTestCase, **options: Any) -> PostgresServer:
    """Return a server in recovery: it answers queries and refuses LISTEN.

    ``select pg_promote()`` makes it an ordinary one.

    :param testcase: see :func:`private_server`, also for the options.
    """
    server = private_server(testcase, **options)
    server.stop()
    (server.data / "standby.signal").touch()
    server.start()
    return server


def replica_server(testcase: SynchronousTestCase, primary: PostgresServer) -> PostgresServer:
    """Return a standby that follows a private server by streaming replication.

    Both clusters are copies of one, so it takes up where that one left off.

    :param testcase: see :func:`private_server`.
    :param primary: a private server that has never been stopped.
    """
    server = private_server(testcase, start=False, settings=following(primary))
    (server.data / "standby.signal").touch()
    server.start()
    return server


def following(primary: PostgresServer) -> dict[str, str]:
    """Return the settings of a server that follows another one."""
    conninfo = f"{primary.dsn} application_name=replica"
    return {"primary_conninfo": conninfo, "wal_retrieve_retry_interval": "100ms"}


def execute(dsn: str, sql: str, parameters: tuple[object, ...] | None = None) -> list[Any]:
    """Run one statement on a connection of its own, committed when this returns.

    :param dsn: where.
    :returns: the rows, or an empty list where the statement has none.
    """
    connection = psycopg2.connect(dsn, connect_timeout=10)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def terminate(dsn: str, application_name: str) -> int:
    """End all sessions of an application, as an administrator would.

    :returns: how many there were.
    """
    sql = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s"
    return len(execute(dsn, sql, (application_name,)))


def open_folder(testcase: SynchronousTestCase) -> Path:
    """Return a folder that any user can reach, which our current one need not be."""
    folder = Path(tempfile.mkdtemp(prefix="txdoorbell-test-", dir="/var/tmp"))
    testcase.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    return folder


def fake_programs(directory: Path, number: str = "9.1", **scripts: str) -> Path:
    """Write an ``initdb`` and a ``postgres`` that know their version and nothing else.

    :param directory: where; it is made.
    :param scripts: what a program does when it is asked for more.
    :returns: the directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("initdb", "postgres"):
        answer = f'[ "$1" = --version ] && echo "{name} (PostgreSQL) {number}" && exit'
        program = directory / name
        program.write_text(f"#!/bin/sh\n{answer}\n{scripts.get(name, 'exit 1')}\n")
        program.chmod(0o755)
    return directory


def until(what: str, holds: Callable[[], object], deadline: float = 10.0) -> None:
    """Block until something holds.

    :param what: what is waited for, in words.
    :param deadline: seconds.
    :raises AssertionError: it did not come about; the text says what.
    """
    end = time.monotonic() + deadline
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline} s in vain for {what}")
        time.sleep(0.01)  # noqa: TID251 - other processes tell us nothing; this is the deadline's loop


def _need_programs() -> None:
    try:
        find_binaries()
    except EmbeddedUnavailable as error:
        raise SkipTest(str(error)) from None
