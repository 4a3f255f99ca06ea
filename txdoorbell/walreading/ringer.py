"""Ringing a channel by the write-ahead log: a message in place of a NOTIFY."""

from __future__ import annotations

from typing import Any

from txdoorbell.listening.ringer import Ringer
from txdoorbell.listening.sender import ring_once
from txdoorbell.walreading.changes import PREFIX

__all__ = ["LogRinger", "ring_by_wal"]


class LogRinger(Ringer):
    """Sends what :meth:`notify` is given as messages; otherwise as it promises."""

    statement = (
        f"select pg_catalog.pg_logical_emit_message(true, '{PREFIX}' || ring.channel, ring.payload)"
        " from rows from (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[]))"
        " as ring(channel, payload)"
    )


async def ring_by_wal(reactor: Any, dsn: str, channel: str, payload: str = "") -> None:
    """
    Connect, write a message that rings a channel, and hang up.

    Otherwise as :func:`txdoorbell.listening.sender.ring_once` promises.

    :raises NotRung: when that could not be done in time.
    :raises DriverMissing: without psycopg2 or txpostgres.
    :raises ValueError: for a DSN, channel or payload that can't be.
    """
    await ring_once(reactor, dsn, channel, payload, LogRinger)
