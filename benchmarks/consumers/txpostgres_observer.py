"""txpostgres as it is, an observer on a connection."""

from __future__ import annotations

from twisted.python import log
from txpostgres.txpostgres import Connection

from benchmarks.record import CHANNEL, Record, run_reactor


def run(dsn: str, record: Record) -> None:
    """Run the reactor."""
    connection = Connection()
    hear = record.hearer(lambda notification: notification.payload)
    connected = connection.connect(dsn)
    connected.addCallback(lambda _: connection.addNotifyObserver(hear))
    connected.addCallback(lambda _: connection.runOperation(f"listen {CHANNEL}"))
    connected.addCallback(lambda _: record.ready())
    connected.addErrback(log.err)
    run_reactor()
