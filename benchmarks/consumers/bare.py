"""The floor: psycopg2 in a select loop of six lines, with no care for anything."""

from __future__ import annotations

from select import select

import psycopg2

from benchmarks.record import CHANNEL, Record


def run(dsn: str, record: Record) -> None:
    """Wait, poll, call."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    connection.cursor().execute(f"listen {CHANNEL}")
    hear = record.hearer()
    record.ready()
    while True:
        select([connection], [], [])
        connection.poll()
        for notification in connection.notifies:
            hear(notification.payload)
        connection.notifies.clear()
