"""Ways to be rung by a table, each with a real ``twistd doorbell``, and what CPU they take."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.bench import Bench
from benchmarks.proc import usage_of
from benchmarks.record import CHANNEL
from benchmarks.twistd import twistd
from txdoorbell.embedded import PostgresServer
from txdoorbell.sql import trigger_sql

SETTLING = 0.7
"""Seconds from the word that a bell hears until its sessions are counted: its probe is over."""

PATIENCE = 60.0
"""Seconds in which the log must have been read to its end."""

_TABLE = "create table {name} (id bigserial primary key, body text)"

_ROW = f"""
    create function ring_row() returns trigger language plpgsql as $$
    begin perform pg_notify('{CHANNEL}', new.id::text); return null; end $$;
    create trigger ring after insert on by_row for each row execute function ring_row()
"""

_SESSIONS = """
    select pid, case backend_type when 'walsender' then 'walsender' else 'sessions' end
    from pg_stat_activity
    where application_name = 'txdoorbell' and pid <> pg_backend_pid()
"""

_READ = "select bool_and(confirmed_flush_lsn >= %s) from pg_replication_slots"


@dataclass(frozen=True)
class Bell:
    """
    One way.

    :ivar title: what a table says.
    :ivar table: into which is written.
    :ivar level: the server's ``wal_level``.
    :ivar arguments: those of ``twistd doorbell``; empty where there is none.
    """

    title: str
    table: str
    level: str = "replica"
    arguments: tuple[str, ...] = ()

    @property
    def is_of_log(self) -> bool:
        """Whether a doorbell reads the log for it."""
        return "--table" in self.arguments


_CHANNEL = "--channel", CHANNEL

NONE = "none"
"""The bell that all others are compared with."""

BELLS = {
    NONE: Bell("no bell", "silent"),
    "unread": Bell("no bell, ``wal_level = logical``, nobody reads", "silent", "logical"),
    "by_row": Bell("NOTIFY by a trigger for each row", "by_row", arguments=_CHANNEL),
    "by_statement": Bell(
        "NOTIFY by the trigger of ``txdoorbell sql``", "by_statement", arguments=_CHANNEL
    ),
    "by_log": Bell("the write-ahead log", "by_log", "logical", ("--table", "by_log")),
}

LEVELS = tuple(dict.fromkeys(bell.level for bell in BELLS.values()))


def query(dsn: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run one statement on a connection of its own, and return its rows."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def prepare(private: PostgresServer) -> None:
    """Make all tables, with their triggers."""
    for name in dict.fromkeys(bell.table for bell in BELLS.values()):
        query(private.dsn, _TABLE.format(name=name))
    query(private.dsn, _ROW)
    query(private.dsn, trigger_sql("by_statement", CHANNEL, on="insert"))
    query(private.dsn, "checkpoint")


def pin(pids: Iterable[int], cores: Collection[int]) -> None:
    """Let processes run on these cores alone, with all their threads."""
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            for thread in list(Path(f"/proc/{pid}/task").iterdir()):
                os.sched_setaffinity(int(thread.name), cores)


def pin_server(private: PostgresServer, cores: Collection[int]) -> None:
    """Let a server run on these cores alone, with what it starts from now on."""
    assert private.pid is not None
    children = Path(f"/proc/{private.pid}/task/{private.pid}/children").read_text().split()
    pin([private.pid, *map(int, children)], cores)


class Hearing:
    """
    A doorbell that hears, and what its sessions and itself have used since then.

    :param pids: what is done by which process.
    """

    def __init__(self, dsn: str, pids: Mapping[int, str]) -> None:
        self._dsn = dsn
        self._pids = pids
        self._before = self._used()

    def _used(self) -> dict[int, float]:
        used = {}
        for pid in self._pids:
            with suppress(FileNotFoundError):  # A probe's session, which is over by now.
                used[pid] = usage_of(pid).cpu
        return used

    @property
    def cpu(self) -> dict[str, float]:
        """Seconds of a core since it hears, by what was done in them."""
        now, spent = self._used(), dict.fromkeys(self._pids.values(), 0.0)
        for pid in now.keys() & self._before.keys():
            spent[self._pids[pid]] += now[pid] - self._before[pid]
        return spent

    def wait_until_read(self) -> float:
        """
        Wait until the log is read as far as it is written now; return the seconds.

        How far it is read is told to the server each 0.2 s.
        """
        begun = time.monotonic()
        [(written,)] = query(self._dsn, "select pg_current_wal_lsn()")
        while query(self._dsn, _READ, written) == [(False,)]:
            if time.monotonic() > begun + PATIENCE:
                raise RuntimeError(f"the log was not read within {PATIENCE:g} s")
            time.sleep(0.01)
        return time.monotonic() - begun


@contextmanager
def hearing(
    bench: Bench, private: PostgresServer, bell: Bell, cores: Collection[int]
) -> Iterator[Hearing]:
    """Have a bell heard, its sessions and the doorbell on these cores; nothing for no bell."""
    if not bell.arguments:
        yield Hearing(private.dsn, {})
        return
    (bench.folder / "quiet.py").write_text("def process():\n    pass\n")
    options = ("--dsn", private.dsn, "--processor", "quiet:process", *bell.arguments)
    word = "the log is read" if bell.is_of_log else "LISTEN committed"
    with twistd(bench.folder, word, "doorbell", *options) as running:
        time.sleep(SETTLING)
        pids = {row[0]: row[1] for row in query(private.dsn, _SESSIONS)}
        pids[running.pid] = "doorbell"
        pin(pids, cores)
        yield Hearing(private.dsn, pids)
