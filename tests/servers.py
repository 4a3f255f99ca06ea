"""PostgreSQL servers for tests: real ones, on TCP, without fsync.

They live in folders of the current directory, which under trial is its
``_trial_temp``, and end with the process that started them.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from txdoorbell.embedded import EmbeddedUnavailable, PostgresServer, find_binaries

QUICK = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB"}


@cache
def shared_server() -> PostgresServer:
    """Return the one server of this process, running; leave it so.

    :raises SkipTest: there are no programs to run it with.
    """
    server = _new_server()
    atexit.register(_discard, server)
    server.start()
    return server


def private_server(
    testcase: SynchronousTestCase, *, start: bool = True, **options: Any
) -> PostgresServer:
    """Return a server for one test, which may stop it, kill it or freeze it.

    :param testcase: its cleanup ends the server and removes its folder.
    :param start: whether it is to run already.
    :param options: those of :class:`PostgresServer`; ``settings`` are added to
        the quick ones.
    :raises SkipTest: there are no programs to run it with.
    """
    server = _new_server(**options)
    testcase.addCleanup(_discard, server)
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


def _new_server(**options: Any) -> PostgresServer:
    try:
        find_binaries()
    except EmbeddedUnavailable as error:
        raise SkipTest(str(error)) from None
    settings = {**QUICK, **options.pop("settings", {})}
    data = Path(tempfile.mkdtemp(prefix="postgresql-", dir=Path.cwd()))
    return PostgresServer(data, **{"tcp": True, "settings": settings, **options})


def _discard(server: PostgresServer) -> None:
    server.stop("immediate")
    shutil.rmtree(server.data, ignore_errors=True)
