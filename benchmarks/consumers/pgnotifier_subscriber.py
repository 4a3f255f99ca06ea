"""pgnotifier, a subscriber."""

from __future__ import annotations

import threading

from pgnotifier import Notifier
from psycopg2.extensions import parse_dsn

from benchmarks.record import CHANNEL, Record


def run(dsn: str, record: Record) -> None:
    """Subscribe; the notifier has a thread of its own."""
    notifier = Notifier(parse_dsn(dsn))
    hear = record.hearer()

    def callback(name: object, channel: str, payload: object, pid: int) -> None:
        hear(payload)  # type: ignore[arg-type]  # it has made an int of it

    notifier.subscribe("bench", CHANNEL, callback)
    record.ready()
    threading.Event().wait()
