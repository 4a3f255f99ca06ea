"""
A process that commits one statement after the other: ``python -m benchmarks.statements``.

Its arguments are a DSN, the statement, how often, and what the pauses in between are drawn from.
"""

from __future__ import annotations

import random
import sys
import time

import psycopg2

from benchmarks.processes import say
from benchmarks.sender import PAUSE


def main(dsn: str, sql: str, count: str, seed: str) -> None:
    """Commit, and say when each statement was about to be sent, in nanoseconds."""
    pauses, sent = random.Random(int(seed)), []
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for _ in range(int(count)):
            time.sleep(pauses.uniform(*PAUSE))
            sent.append(time.monotonic_ns())
            cursor.execute(sql)
    connection.close()
    say(sent=sent)


if __name__ == "__main__":
    main(*sys.argv[1:])
