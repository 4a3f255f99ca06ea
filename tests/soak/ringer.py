"""
The sender of a soak's rings: a process of its own, on a connection that the faults spare.

``python -m tests.soak.ringer DSN RECORD RATE``. Each ring has a number, which also goes to a table
by the same transaction: whether a COMMIT that was never answered took place can be seen there.
"""

from __future__ import annotations

import random
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg2

from tests.soak.record import CHANNELS, FLICKERING, Record, Ring

BURST = 200
"""Rings one after the other, now and then."""


class Ringer:
    """
    Rings random channels at random times, until it is killed.

    :param rate: rings per second, on average, but for the bursts.
    """

    def __init__(self, dsn: str, record: Record, rate: float) -> None:
        self._dsn = dsn
        self._record = record
        self._rate = rate
        self._number = 0
        self._session: Any = None
        self._pause = threading.Event()

    def go(self) -> None:
        """Ring for ever: mostly one at a time, now and then many, now and then none for a while."""
        while True:
            choice = random.random()
            if choice < 0.001:
                for _ in range(BURST):
                    self.ring()
            elif choice < 0.003:
                self._pause.wait(1.5)
            self._pause.wait(random.expovariate(self._rate))
            self.ring()

    def ring(self) -> None:
        """Ring once, and write it down."""
        self._number += 1
        channel = random.choice(FLICKERING if random.random() < 0.05 else CHANNELS)
        before = None
        try:
            session = self._connected()
            with session.cursor() as cursor:
                cursor.execute("insert into ring values (%s)", (self._number,))
                cursor.execute("select pg_notify(%s, %s)", (channel, str(self._number)))
            before = monotonic()
            session.commit()
        except psycopg2.Error:
            self._lost()
            if before is not None:
                self._record.ring(Ring(self._number, channel, before, monotonic(), False))
        else:
            self._record.ring(Ring(self._number, channel, before, monotonic(), True))

    def _connected(self) -> Any:
        if self._session is None:
            self._session = psycopg2.connect(
                self._dsn, connect_timeout=5, application_name="soak ringer"
            )
        return self._session

    def _lost(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(psycopg2.Error):
                session.close()
        self._pause.wait(0.02)


def main(dsn: str, path: str, rate: str) -> None:
    """Ring until the process is killed."""
    Ringer(dsn, Record(Path(path)), float(rate)).go()


if __name__ == "__main__":
    main(*sys.argv[1:])
