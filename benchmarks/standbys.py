"""What standbys, and rings, cost a real server: CPU of its processes, as Linux counts it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from heapq import heapify, heappop, heappush
from random import random
from typing import Any

import psycopg2

from benchmarks.figures import median
from benchmarks.proc import usage_of
from txdoorbell.fleet.lease_table import (
    STAND_SQL,
    TRY_SQL,
    holders_sql,
    lease_table_sql,
    take_sql,
)
from txdoorbell.fleet.policy import Placement
from txdoorbell.listening.holders import AGE, keyed
from txdoorbell.listening.locktiming import LockTiming

RINGS = 100


def standing_by(
    dsn: str, standbys: int, locks: int, seconds: float, interval: float
) -> tuple[float, float]:
    """
    Let sessions try for locks that another one holds, each in its rounds, as their policy says.

    Now and then they ask for the holder, too, as the service does. What a session needs once, to
    get to know the catalog, isn't counted.

    :returns: the share of a core that their backends took, and seconds for each statement.
    """
    with ExitStack() as stack:
        holder, *sessions = [_connect(dsn, stack) for _ in range(standbys + 1)]
        _hold(holder, locks)
        for session in sessions:
            _begin(session, locks, interval)
        placements = [Placement(f"host{number}", interval) for number in range(standbys)]
        due = [(place.until_first_round(), n) for n, place in enumerate(placements)]
        heapify(due)
        asks = [AGE * interval * random() for _ in sessions]
        before, start, rounds = _cpu(sessions), time.monotonic(), 0
        while due[0][0] < seconds:
            when, number = heappop(due)
            time.sleep(max(0.0, start + when - time.monotonic()))
            _try(sessions[number], locks)
            if when >= asks[number]:
                _execute(sessions[number], holders_sql(), _locks(locks))
                asks[number] = when + 0.9 * AGE * interval
            heappush(due, (when + placements[number].until_next_round(), number))
            rounds += 1
        spent = _cpu(sessions) - before
        return spent / seconds, spent / rounds


def _begin(session: Any, locks: int, interval: float) -> None:
    """Do what a session of the service does before its rounds."""
    for setting in LockTiming(interval).settings().items():
        _execute(session, "select set_config(%s, %s, false)", setting)
    _execute(session, STAND_SQL, (_locks(locks)[1],))
    _try(session, locks)
    _execute(session, holders_sql(), _locks(locks))


def _try(session: Any, number: int, first: int = 0) -> None:
    """Try for so many locks."""
    _execute(session, TRY_SQL, (_locks(number, first)[1], None))


def _hold(session: Any, locks: int) -> None:
    """Hold so many locks, with a lease for each."""
    _execute(session, lease_table_sql())
    _try(session, locks)
    _execute(session, take_sql(), ("host", 1, _locks(locks)[0]))


def lookups(dsn: str, sizes: Sequence[int], times: int) -> dict[int, float]:
    """
    Let a session ask who holds so many locks.

    :returns: seconds of CPU of its backend each time, by the number of locks.
    """
    with ExitStack() as stack:
        holder, session = _connect(dsn, stack), _connect(dsn, stack)
        costs = {}
        for size in sorted(sizes):
            _hold(holder, size)
            before = _cpu([session])
            for _ in range(times):
                _execute(session, holders_sql(), _locks(size))
            costs[size] = (_cpu([session]) - before) / times
        return costs


def batches(dsn: str, sizes: Sequence[int], rounds: int, times: int) -> dict[int, float]:
    """
    Let a session try for so many locks by one statement, again and again.

    :returns: seconds of CPU of its backend for each statement, by the number of locks; the median
        of rounds, in which all numbers take turns.
    """
    with ExitStack() as stack:
        holder, session = _connect(dsn, stack), _connect(dsn, stack)
        _try(holder, max(sizes))
        taken: dict[int, list[float]] = {size: [] for size in sizes}
        for size in list(sizes) * rounds:
            before = _cpu([session])
            for _ in range(times):
                _try(session, size)
            taken[size].append((_cpu([session]) - before) / times)
        return {size: median(costs) for size, costs in taken.items()}


def _locks(number: int, first: int = 0) -> tuple[list[str], list[int]]:
    """Return so many names of locks, and their keys, as the service gives them."""
    return keyed(f"loop{n}" for n in range(first, first + number))


def ring(dsn: str, listeners: int) -> float:
    """
    Ring while sessions listen.

    :returns: seconds of CPU of all their backends, and of the one that rings, for each ring.
    """
    with ExitStack() as stack:
        sender, *sessions = [_connect(dsn, stack) for _ in range(listeners + 1)]
        for session in sessions:
            _execute(session, "listen fleet")
        before = _cpu([sender, *sessions])
        for _ in range(RINGS):
            _execute(sender, "notify fleet")
            time.sleep(0.005)
        time.sleep(0.2)
        return (_cpu([sender, *sessions]) - before) / RINGS


def room(dsn: str, limit: int) -> int:
    """Return how many advisory locks a session gets before the server's lock table is full."""
    with ExitStack() as stack:
        session = _connect(dsn, stack)
        return _first_failure(lambda lock: _try(session, 1, lock), limit)


def _first_failure(do: Callable[[int], None], limit: int) -> int:
    for number in range(limit):
        try:
            do(number)
        except psycopg2.OperationalError:
            return number
    return limit


def _connect(dsn: str, stack: ExitStack) -> Any:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    return stack.enter_context(closing(connection))


def _execute(connection: Any, sql: str, arguments: object = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)


def _cpu(sessions: list[Any]) -> float:
    return sum(usage_of(session.info.backend_pid).cpu for session in sessions)
