"""
What the functions of a fleet write down, in the database that they share.

Each write is fenced, by the pattern that the documentation shows: it counts only while no newer
lease has written. A refused one is written down as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import psycopg2

LOOPS = ("billing", "mail", "reports", "search", "thumbnails")
"""The loops, their locks, their channels and their functions: all have the same names."""

RESTLESS = ("billing", "mail")
"""The loops whose functions are called again and again, rung or not, while they may run."""

LONG = "mail"
"""The loop of these whose function takes longer than a lease lasts."""

STEPS = {loop: 30 if loop == LONG else 4 for loop in LOOPS}
"""How often a function writes after its first write."""

SCHEMA = """
create table fence (
    loop text primary key,
    number bigint not null default 0,
    boot text not null default ''
);
create table job (
    number bigserial primary key,
    loop text not null,
    ordered timestamptz not null default clock_timestamp(),
    done timestamptz
);
create table frost (loop text primary key);
create table entry (
    seq bigserial primary key,
    loop text not null,
    number bigint not null,
    boot text not null,
    call integer not null,
    kind text not null,
    accepted boolean not null,
    began double precision not null,
    due double precision not null,
    at double precision not null default extract(epoch from clock_timestamp())
);
create index on entry (loop, number);
create function put(
    what_loop text, lease bigint, who text, which_call integer, what_kind text,
    since float8, planned float8
) returns boolean language plpgsql as $$
declare
    fresh boolean;
begin
    update fence set number = lease, boot = who where loop = what_loop and number <= lease;
    fresh := found;
    insert into entry (loop, number, boot, call, kind, accepted, began, due)
    values (what_loop, lease, who, which_call, what_kind, fresh, since, planned);
    if fresh and what_kind = 'begin' then
        update job set done = clock_timestamp() where loop = what_loop and done is null;
    end if;
    return fresh;
end $$;
create function ring(what_loop text) returns bigint language plpgsql as $$
declare
    ordered bigint;
begin
    insert into job (loop) values (what_loop) returning number into ordered;
    perform pg_notify(what_loop, ordered::text);
    return ordered;
end $$;
"""
"""
``put`` is a write of a function: whether it was accepted. ``ring`` orders a job, and rings.

A loop whose name is in ``frost`` stops its own process, once, in the midst of its function.
"""


class Entry(NamedTuple):
    """
    A write of a function; times are seconds since the epoch.

    :ivar number: of the lease.
    :ivar boot: the process: a name that no other one, before or after, has.
    :ivar call: counts the calls in that process.
    :ivar kind: ``begin``, ``step``, ``late`` (after having been frozen by order) or ``end``.
    :ivar accepted: whether no newer lease had written.
    :ivar began: when the call began, by its own process.
    :ivar due: when it would have been made, had nothing held the process up.
    :ivar at: when it was written, by the server.
    """

    loop: str
    number: int
    boot: str
    call: int
    kind: str
    accepted: bool
    began: float
    due: float
    at: float


class Database:
    """
    One session, made again when it was lost.

    :param dsn: where.
    :param name: its ``application_name``.
    """

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name
        self._session: Any = None

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """
        Run one statement, committed when this returns.

        :returns: its rows.
        :raises psycopg2.Error: when it can't be; the next call makes a new session.
        """
        try:
            with self._connected().cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.Error:
            self.close()
            raise

    def _connected(self) -> Any:
        if self._session is None:
            self._session = psycopg2.connect(
                self._dsn, connect_timeout=5, application_name=self._name
            )
            self._session.autocommit = True
        return self._session

    def close(self) -> None:
        """End the session."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(psycopg2.Error):
                session.close()


def prepare(database: Database) -> None:
    """Make the tables, with a fence for each loop."""
    database.execute(SCHEMA)
    for loop in LOOPS:
        database.execute("insert into fence (loop) values (%s)", (loop,))


def read_entries(database: Database) -> list[Entry]:
    """Return all that was written, in order."""
    columns = ", ".join(Entry._fields)
    return [Entry(*row) for row in database.execute(f"select {columns} from entry order by seq")]
