"""Twisted's floor: psycopg2's descriptor on the reactor, with no care for anything."""

from __future__ import annotations

from typing import Any

import psycopg2
from twisted.internet import reactor
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from benchmarks.record import CHANNEL, Record, run_reactor


@implementer(IReadDescriptor)
class Reader:
    """The body of the bare loop, called by the reactor in place of ``select``."""

    def __init__(self, connection: Any, record: Record) -> None:
        self._connection = connection
        self._hear = record.hearer()
        self.fileno = connection.fileno

    def doRead(self) -> None:
        """Poll, call."""
        self._connection.poll()
        for notification in self._connection.notifies:
            self._hear(notification.payload)
        self._connection.notifies.clear()

    def logPrefix(self) -> str:
        """Return what the reactor's logs call this."""
        return "reader"

    def connectionLost(self, reason: Failure) -> None:
        """Do nothing: that is the point."""


def run(dsn: str, record: Record) -> None:
    """Listen, and run the reactor."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    connection.cursor().execute(f"listen {CHANNEL}")
    running: Any = reactor
    running.addReader(Reader(connection, record))
    record.ready()
    run_reactor()
