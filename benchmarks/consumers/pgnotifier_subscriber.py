"""pgnotifier, a subscriber."""

from __future__ import annotations

import threading

from pgnotifier import Notifier
from psycopg2.extensions import parse_dsn

from benchmarks.record import CHANNEL, Record


def run(dsn: str, record: Record) -> None:
    """Subscribe; the notifier has a thread of its own."""
    notifier = Notifier(parse_dsn(dsn))
    hear = record.hearer(lambda name, channel, payload, pid: payload)
    notifier.subscribe("bench", CHANNEL, hear)
    record.ready()
    threading.Event().wait()
