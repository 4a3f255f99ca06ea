"""psycopg 3, its generator of notifications."""

from __future__ import annotations

import psycopg

from benchmarks.record import CHANNEL, Record


def run(dsn: str, record: Record) -> None:
    """Iterate for ever."""
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute(f"listen {CHANNEL}")
    hear = record.hearer()
    record.ready()
    for notification in connection.notifies():
        hear(notification.payload)
