"""
The table of leases: who holds which lock, and the number of that holding.

The lock itself is PostgreSQL's own, and needs no table. The table adds what a lock hasn't got: a
number that grows with every change of holder, and the holder's name. It is in one schema that is
fixed, since hosts whose search paths differ must not count in two tables.
"""

from __future__ import annotations

from txdoorbell.fleet.keys import LOCK_CLASS, STANDBY_CLASS
from txdoorbell.notification import quote_identifier
from txdoorbell.triggers.names import parse_schema, qualified

__all__ = [
    "LOST_SQL",
    "SCHEMA",
    "STAND_DOWN_SQL",
    "STAND_SQL",
    "TABLE",
    "TRY_SQL",
    "UNLOCK_SQL",
    "holders_sql",
    "lease_table_sql",
    "remove_lease_table_sql",
    "show_sql",
    "take_sql",
]

SCHEMA = "public"
"""The schema of the table, unless another one is said."""

TABLE = "txdoorbell_leases"
"""The table's name."""

_EPOCH = "extract(epoch from {})::pg_catalog.float8"


def table_name(schema: str = SCHEMA) -> str:
    """Return the table's name with its schema, quoted for SQL."""
    return qualified(parse_schema(schema), TABLE)


def lease_table_sql(schema: str = SCHEMA, *, role: str | None = None) -> str:
    """
    Return SQL that creates the table; run again, it changes nothing.

    :param schema: read as in SQL.
    :param role: who is to be allowed to use it, besides the one who creates it: the role that the
        services connect as. It needs no other right.
    :raises ValueError: for a schema that can't be.
    """
    table = table_name(schema)
    sql = (
        f"create table if not exists {table} (\n"
        "    name text primary key,\n"
        "    number bigint not null,\n"
        "    host text not null,\n"
        "    process integer not null,\n"
        "    backend integer not null,\n"
        "    since timestamptz not null\n"
        ");\n"
        f"comment on table {table} is 'txdoorbell: the last lease of each lock of a fleet';\n"
    )
    if role is not None:
        sql += f"grant select, insert, update on {table} to {quote_identifier(role)};\n"
    return sql


def remove_lease_table_sql(schema: str = SCHEMA) -> str:
    """
    Return SQL that removes the table; nothing when it isn't there.

    Created anew it counts from 1: what compares lease numbers must forget those it knows.
    """
    return f"drop table if exists {table_name(schema)};\n"


def take_sql(schema: str = SCHEMA) -> str:
    """
    Return the statement by which the holder of locks takes a lease for each.

    To be run on the session that holds them. Its parameters: the host's name, the process id, and
    an array of locks' names; its rows: name, number, and since when, in epoch seconds.
    """
    return (
        f"insert into {table_name(schema)} as lease"
        " (name, number, host, process, backend, since)"
        " select wanted.name, 1, %s, %s, pg_catalog.pg_backend_pid(), pg_catalog.clock_timestamp()"
        " from pg_catalog.unnest(%s::pg_catalog.text[]) as wanted(name) order by wanted.name"
        " on conflict (name) do update set number = lease.number + 1, host = excluded.host,"
        " process = excluded.process, backend = excluded.backend, since = excluded.since"
        f" returning name, number, {_EPOCH.format('since')}"
    )


_OURS = (
    "held.locktype = 'advisory' and held.granted and held.objsubid = 2"
    " and held.database = (select oid from pg_catalog.pg_database"
    " where datname = pg_catalog.current_database())"
)
"""The condition for locks like ours in ``pg_locks as held``."""


def _oid(number: object) -> str:
    """Return half of a key as ``pg_locks`` has it."""
    return f"({number})::pg_catalog.int4::pg_catalog.oid"


def _held(objid: str) -> str:
    """Return the condition for the lock of a key in ``pg_locks as held``; sessions are ``pid``."""
    return f"{_OURS} and held.classid = {_oid(LOCK_CLASS)} and held.objid = {_oid(objid)}"


_KEYS = (
    "rows from (pg_catalog.unnest(%s::pg_catalog.text[]), pg_catalog.unnest(%s::pg_catalog.int4[]))"
    " as wanted(name, objid)"
)
_INTEGERS = "pg_catalog.unnest(%s::pg_catalog.int4[]) as wanted(objid)"

TRY_SQL = (
    f"select wanted.objid from {_INTEGERS}"
    f" where pg_catalog.pg_try_advisory_lock({LOCK_CLASS}, wanted.objid) limit %s"
)
"""
Tries for locks in the order in which their keys are given, until so many were got; None for all.

Its rows: the keys of those that were got. Nothing in it may make PostgreSQL read ahead, an ``order
by`` for one: it would hold locks that nobody knows of.
"""

UNLOCK_SQL = (
    f"select pg_catalog.pg_advisory_unlock({LOCK_CLASS}, wanted.objid),"
    f" pg_catalog.pg_notify(%s, wanted.name) from {_KEYS}"
)
"""Gives locks back, and says so: by the channel, an array of names and one of keys."""

STAND_SQL = (
    "select count(*) filter (where"
    f" pg_catalog.pg_try_advisory_lock_shared({STANDBY_CLASS}, wanted.objid)) from {_INTEGERS}"
)
"""Shows that a session stands by for locks, by their keys: once each."""

STAND_DOWN_SQL = (
    f"select pg_catalog.pg_advisory_unlock_shared({STANDBY_CLASS}, wanted.objid) from {_INTEGERS}"
)
"""Shows it no more."""

LOST_SQL = (
    f"select wanted.name from {_KEYS} where not exists (select from pg_catalog.pg_locks as held"
    f" where held.pid = pg_catalog.pg_backend_pid() and {_held('wanted.objid')})"
)
"""Names, of those given with their keys, the locks that this session doesn't hold."""


def _known(schema: str | None) -> tuple[str, str]:
    """Return what is known of the holder ``held`` as columns, and where that is joined from."""
    if schema is None:
        known = "pg_catalog.host(session.client_addr), null::int4, null::float8, null::int8"
        source = "pg_catalog.pg_stat_activity as session on session.pid = held.pid"
    else:
        # Who has no lease is asked for only then.
        address = (
            "(select pg_catalog.host(client_addr) from pg_catalog.pg_stat_activity"
            " where pid = held.pid)"
        )
        known = (
            f"coalesce(lease.host, {address}), lease.process, {_EPOCH.format('lease.since')},"
            " lease.number"
        )
        source = (
            f"{table_name(schema)} as lease"
            " on lease.name = wanted.name and lease.backend = held.pid"
        )
    return known, source


def holders_sql(schema: str | None = SCHEMA) -> str:
    """
    Return a query for those who hold locks, by an array of names and one of keys.

    Its rows: name, the host's name or its address, the process id there, since when in epoch
    seconds, and the lease's number, each None where it isn't known; and how many other sessions
    show that they stand by. A lock that is free has none.

    :param schema: None when there is no table: then only what the server shows is known.
    """
    known, source = _known(schema)
    # The view is a function that copies all that there is: it is read once.
    return (
        "with seen as materialized (select held.classid, held.objid, held.pid"
        f" from pg_catalog.pg_locks as held where {_OURS}"
        f" and held.classid in ({_oid(LOCK_CLASS)}, {_oid(STANDBY_CLASS)})),"
        " standing as (select seen.objid, pg_catalog.array_agg(seen.pid) as pids from seen"
        f" where seen.classid = {_oid(STANDBY_CLASS)} group by seen.objid)"
        f" select wanted.name, {known}, coalesce(pg_catalog.cardinality("
        f"pg_catalog.array_remove(standing.pids, held.pid)), 0) from {_KEYS}"
        f" join seen as held on held.classid = {_oid(LOCK_CLASS)}"
        f" and held.objid = {_oid('wanted.objid')}"
        " left join standing on standing.objid = held.objid"
        f" left join {source}"
    )


def show_sql(schema: str = SCHEMA) -> str:
    """
    Return a query for people: each lock that ever had a holder, and its last lease.

    Its rows: name, number, host, process id, since when, and whether that lease is still held.
    """
    key = (
        "('x' || pg_catalog.encode(pg_catalog.substr(pg_catalog.sha256("
        "pg_catalog.convert_to(lease.name, 'UTF8')), 1, 4), 'hex'))::pg_catalog.bit(32)"
        "::pg_catalog.int4"
    )
    return (
        "select lease.name, lease.number, lease.host, lease.process, lease.since,"
        " exists (select from pg_catalog.pg_locks as held"
        f" where held.pid = lease.backend and {_held(key)}) as held"
        f" from {table_name(schema)} as lease order by lease.name"
    )
