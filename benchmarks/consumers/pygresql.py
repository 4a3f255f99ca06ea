"""PyGreSQL, its notification handler."""

from __future__ import annotations

import pg
from psycopg2.extensions import parse_dsn

from benchmarks.record import CHANNEL, Record


def run(dsn: str, record: Record) -> None:
    """Call the handler, which is a loop."""
    where = parse_dsn(dsn)
    database = pg.DB(where["dbname"], where["host"], int(where["port"]), user=where["user"])
    hear = record.hearer(lambda notification: notification["extra"])
    handler = pg.NotificationHandler(database, CHANNEL, hear)
    handler.listen()
    record.ready()
    handler()
