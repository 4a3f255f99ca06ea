"""
The process that sends.

``wake COUNT SEED``: single notifications, each a few milliseconds after the one before; the payload
is the time just before the statement. ``storm COUNT``: one transaction with so many notifications,
between a first and a last one on channels of their own. ``flood COUNT``: such transactions without
end, each a moment after the one before.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg2

from benchmarks.processes import say, when_dismissed
from benchmarks.record import BEGIN, CHANNEL, END

PAUSE = (0.002, 0.006)
"""Seconds between two single notifications, chosen anew each time."""

BREATH = 0.05
"""Seconds between two transactions of a flood, so that what hears it can keep up."""

_STORM = f"""
    begin;
    select pg_notify('{BEGIN}', '');
    select count(pg_notify('{CHANNEL}', i::text)) from generate_series(1, %s) i;
    select pg_notify('{END}', '');
    commit
"""


def wake(cursor: Any, count: int, seed: int) -> None:
    """Send single notifications."""
    pauses = random.Random(seed)
    sent = []
    for _ in range(count):
        time.sleep(pauses.uniform(*PAUSE))
        sent.append(time.monotonic_ns())
        cursor.execute(f"notify {CHANNEL}, '{sent[-1]}'")
    say(sent=sent)


def storm(cursor: Any, count: int) -> None:
    """Send many at once."""
    cursor.execute(_STORM, (count,))
    say(sent=count)


def flood(cursor: Any, count: int) -> None:
    """Send many again and again, until we are ended; say so once, after the first."""
    when_dismissed(lambda: os._exit(0))
    storm(cursor, count)
    while True:
        cursor.execute(_STORM, (count,))
        time.sleep(BREATH)


def main(dsn: str, what: str, *numbers: str) -> None:
    """Send, and say what was sent."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        _WAYS[what](cursor, *map(int, numbers))
    connection.close()


_WAYS: dict[str, Callable[..., None]] = {"wake": wake, "storm": storm, "flood": flood}

if __name__ == "__main__":
    main(*sys.argv[1:])
