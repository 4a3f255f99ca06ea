"""Writers in threads, where there is no pgbench: ``python -m benchmarks.writers``."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2

from benchmarks.processes import say


def write(dsn: str, sql: str, seconds: float) -> list[float]:
    """Commit one statement after the other for some seconds; return milliseconds for each."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    waits: list[float] = []
    now = time.monotonic()
    end = now + seconds
    with connection.cursor() as cursor:
        while now < end:
            begun = now
            cursor.execute(sql)
            now = time.monotonic()
            waits.append((now - begun) * 1000)
    connection.close()
    return waits


def main(dsn: str, sql: str, clients: str, seconds: str) -> None:
    """Write from so many threads, and say how many commits there were in a second."""
    with ThreadPoolExecutor(int(clients)) as pool:
        writers = [pool.submit(write, dsn, sql, float(seconds)) for _ in range(int(clients))]
        waits = [wait for writer in writers for wait in writer.result()]
        say(rate=len(waits) / float(seconds), waits=waits)


if __name__ == "__main__":
    main(*sys.argv[1:])
