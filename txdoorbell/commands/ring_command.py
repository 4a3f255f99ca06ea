"""The command ``txdoorbell ring``: by a NOTIFY, or through the write-ahead log."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from txdoorbell.commands.arguments import PLACE, add_command, add_place, checked, place
from txdoorbell.listening.sender import NotRung, ring_once
from txdoorbell.notification import check_channel, check_payload

if TYPE_CHECKING:
    from txdoorbell.listening.session import Row, Session

__all__ = ["add_ring"]

_TEXT = f"""\
Send a NOTIFY, and end when it is committed. With --wal, write a message to the
write-ahead log instead: those hear it who read that, because they have tables.

{PLACE}"""

_EXAMPLES = """\
examples:
  txdoorbell ring jobs
  txdoorbell ring jobs '{"id": 7}' --dsn "host=db.example.org dbname=app"
  txdoorbell ring doorbell hello --embedded ./doorbell-data
  txdoorbell ring --wal jobs --dsn "dbname=app"

exit status: 0 when the NOTIFY or the message is committed, 1 when it could not be
sent, 2 for wrong usage.
"""

_FACTS = """select pg_catalog.current_setting('wal_level'),
    pg_catalog.current_setting('server_version_num')::int"""
_MESSAGES_SINCE = 140000
"""The first version whose decoder tells of messages."""
_ANSWER_TIMEOUT = 5.0


def add_ring(commands: Any) -> None:
    """Add the command."""
    ring = add_command(commands, "ring", "ring a channel", _TEXT, _EXAMPLES)
    ring.add_argument("channel", metavar="CHANNEL", type=checked(check_channel))
    ring.add_argument(
        "payload", metavar="PAYLOAD", nargs="?", default="", type=checked(check_payload)
    )
    ring.add_argument("--wal", action="store_true", help="by a message in the write-ahead log")
    add_place(ring)
    ring.set_defaults(run=_ring)


def _ring(options: argparse.Namespace) -> NoReturn:
    from twisted.internet.task import react

    dsn = place(options)
    send = _ring_log if options.wal else ring_once

    async def ring(reactor: Any) -> None:
        try:
            await send(reactor, dsn, options.channel, options.payload)
        except NotRung as error:
            raise SystemExit(f"txdoorbell ring: {error}") from None

    react(ring)


async def _ring_log(reactor: Any, dsn: str, channel: str, payload: str) -> None:
    """
    Write a message to the log, where somebody could hear it.

    :raises NotRung: when that could not be done, or nobody could.
    """
    from txdoorbell.listening.visit import Refused, visit
    from txdoorbell.walreading.ringer import ring_by_wal

    async def ask(session: Session) -> Row:
        [row] = await session.query(_FACTS, within=_ANSWER_TIMEOUT)
        return row

    try:
        level, version = await visit(reactor, dsn, ask)
    except Refused as error:
        raise NotRung(str(error)) from None
    if nobody := _deafness(str(level), int(str(version))):
        raise NotRung(nobody)
    await ring_by_wal(reactor, dsn, channel, payload)


def _deafness(level: str, version: int) -> str | None:
    """Say why nobody can hear a message; None when somebody could."""
    if version < _MESSAGES_SINCE:
        return f"messages are heard from PostgreSQL 14 on, this is {version // 10000}"
    if level != "logical":
        return (
            f"nobody can hear it: wal_level is {level}; "
            "run ALTER SYSTEM SET wal_level = logical, and restart the server"
        )
    return None
