"""
The table of leases: who holds which lock, and the number of that holding.

The lock itself is PostgreSQL's own, and needs no table. The table adds what a lock hasn't got: a
number that grows with every change of holder, and the holder's name. It is in one schema that is
fixed, since hosts whose search paths differ must not count in two tables.
"""

from __future__ import annotations

from txdoorbell.fleet.keys import LOCK_CLASS
from txdoorbell.notification import quote_identifier
from txdoorbell.triggers.names import parse_schema, qualified

__all__ = [
    "LOST_SQL",
    "SCHEMA",
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


def _held(objid: str) -> str:
    """Return the condition for the lock of a key in ``pg_locks as held``; sessions are ``pid``."""
    return (
        "held.locktype = 'advisory' and held.granted and held.objsubid = 2"
        f" and held.classid = ({LOCK_CLASS})::pg_catalog.int4::pg_catalog.oid"
        f" and held.objid = {objid}::pg_catalog.int4::pg_catalog.oid"
        " and held.database = (select oid from pg_catalog.pg_database"
        " where datname = pg_catalog.current_database())"
    )


_KEYS = (
    "rows from (pg_catalog.unnest(%s::pg_catalog.text[]), pg_catalog.unnest(%s::pg_catalog.int4[]))"
    " as wanted(name, objid)"
)

TRY_SQL = (
    f"select wanted.name, pg_catalog.pg_try_advisory_lock({LOCK_CLASS}, wanted.objid) from {_KEYS}"
)
"""Tries for locks, by an array of names and one of keys; its rows: name, and whether it was got."""

UNLOCK_SQL = (
    f"select pg_catalog.pg_advisory_unlock({LOCK_CLASS}, wanted.objid),"
    f" pg_catalog.pg_notify(%s, wanted.name) from {_KEYS}"
)
"""Gives locks back, and says so: by the channel, an array of names and one of keys."""

LOST_SQL = (
    f"select wanted.name from {_KEYS} where not exists (select from pg_catalog.pg_locks as held"
    f" where held.pid = pg_catalog.pg_backend_pid() and {_held('wanted.objid')})"
)
"""Names, of those given with their keys, the locks that this session doesn't hold."""


def holders_sql(schema: str | None = SCHEMA) -> str:
    """
    Return a query for those who hold locks, by an array of names and one of keys.

    Its rows: name, the host's name or its address, the process id there, since when in epoch
    seconds, and the lease's number; each None where it isn't known. A lock that is free has none.

    :param schema: None when there is no table: then only what the server shows is known.
    """
    if schema is None:
        known = "session.client_addr::pg_catalog.text, null::int4, null::float8, null::int8"
        table = ""
    else:
        known = f"lease.host, lease.process, {_EPOCH.format('lease.since')}, lease.number"
        table = (
            f" left join {table_name(schema)} as lease"
            " on lease.name = wanted.name and lease.backend = held.pid"
        )
    return (
        f"select wanted.name, {known} from {_KEYS}"
        f" join pg_catalog.pg_locks as held on {_held('wanted.objid')}"
        f" left join pg_catalog.pg_stat_activity as session on session.pid = held.pid{table}"
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
