"""PostgreSQL servers for tests whose write-ahead log can be decoded."""

from __future__ import annotations

import atexit
from functools import cache
from typing import Any

import psycopg2
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.folders import new_folder
from tests.servers import QUICK, execute, private_server, until
from txdoorbell.embedded import EmbeddedUnavailable, PostgresServer

LOGICAL = {"wal_level": "logical", "max_wal_senders": "20", "max_replication_slots": "20"}


@cache
def shared_logical_server() -> PostgresServer:
    """Return the one such server of this process, running; leave it so.

    :raises SkipTest: there are no programs to run it with.
    """
    server = PostgresServer(new_folder(), tcp=True, settings={**QUICK, **LOGICAL})
    atexit.register(server.stop, "immediate")
    try:
        server.start()
    except EmbeddedUnavailable as error:
        raise SkipTest(str(error)) from None
    return server


def logical_server(testcase: SynchronousTestCase, **options: Any) -> PostgresServer:
    """Return a server for one test; see :func:`tests.servers.private_server`."""
    settings = {**LOGICAL, **options.pop("settings", {})}
    return private_server(testcase, settings=settings, **options)


def drop_database(admin: str, name: str) -> None:
    """Drop a database, whose slots may take a moment to be gone after their sessions."""

    def dropped() -> bool:
        try:
            execute(admin, f'drop database "{name}"')
        except psycopg2.errors.ObjectInUse:
            return False
        return True

    until(f"database {name} to be let go of", dropped)


def slots(dsn: str) -> list[str]:
    """Return the names of the replication slots that there are."""
    return [name for (name,) in execute(dsn, "select slot_name from pg_replication_slots")]
