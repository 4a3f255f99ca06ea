"""Writers in threads, where there is no pgbench: ``python -m benchmarks.writers``."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2

from benchmarks.processes import say


def write(dsn: str, sql: str, seconds: float) -> int:
    """Commit one statement after the other for some seconds, and return how many there were."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    done, end = 0, time.monotonic() + seconds
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute(sql)
            done += 1
    connection.close()
    return done


def main(dsn: str, sql: str, clients: str, seconds: str) -> None:
    """Write from so many threads, and say how many commits there were in a second."""
    with ThreadPoolExecutor(int(clients)) as pool:
        counts = [pool.submit(write, dsn, sql, float(seconds)) for _ in range(int(clients))]
        say(rate=sum(count.result() for count in counts) / float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
