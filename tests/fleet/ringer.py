"""A thread that rings a fleet's loops all the while, whatever becomes of the server."""

from __future__ import annotations

import random
import threading
from contextlib import suppress

import psycopg2

from tests.fleet.ledger import LOOPS, Database


class Ringer:
    """
    Orders jobs of random loops at random times.

    :param rate: jobs per second, on average.
    """

    def __init__(self, dsn: str, rate: float) -> None:
        self._database = Database(dsn, "fleet ringer")
        self._rate = rate
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ring, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ring no more; harmless when it never began."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(20)

    def _ring(self) -> None:
        chance = random.Random()
        while not self._over.wait(chance.expovariate(self._rate)):
            with suppress(psycopg2.Error):  # whether it was committed is seen in the table
                self._database.execute("select ring(%s)", (chance.choice(LOOPS),))
        self._database.close()
