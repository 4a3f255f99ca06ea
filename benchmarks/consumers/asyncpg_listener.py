"""asyncpg, a listener on a connection."""

from __future__ import annotations

import asyncio

import asyncpg
from psycopg2.extensions import parse_dsn

from benchmarks.record import CHANNEL, Record


def run(dsn: str, record: Record) -> None:
    """Run asyncio's loop for ever."""
    asyncio.run(listen(dsn, record))


async def listen(dsn: str, record: Record) -> None:
    """Add the listener, and wait."""
    connection = await asyncpg.connect(**address(dsn))
    hear = record.hearer(lambda connection, pid, channel, payload: payload)
    await connection.add_listener(CHANNEL, hear)
    record.ready()
    await asyncio.Event().wait()


def address(dsn: str) -> dict[str, str]:
    """Return what asyncpg calls the parts of a libpq connection string."""
    where = parse_dsn(dsn)
    return {"database": where.pop("dbname"), **where}
