"""Ring once and hang up: for a command line, or anybody who has no listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from txdoorbell.listening.dsn import Dsn
from txdoorbell.listening.oneline import one_line

if TYPE_CHECKING:
    from txdoorbell.listening.ringer import Ringer

__all__ = ["NotRung", "ring_once"]

ANSWER_TIMEOUT = 5.0
"""Seconds in which the server must answer, once it is connected to."""


class NotRung(Exception):
    """The NOTIFY is not known to be committed; the text is one line without a password."""


async def ring_once(
    reactor: Any, dsn: str, channel: str, payload: str = "", by: type[Ringer] | None = None
) -> None:
    """
    Connect, send a NOTIFY, and hang up.

    Connecting may take ten seconds, names looked up included, and the answer five.

    :param dsn: where; what it leaves out comes from libpq's environment.
    :param by: rings; None for NOTIFY.
    :raises NotRung: when that could not be done in time.
    :raises DriverMissing: without psycopg2 or txpostgres.
    :raises ValueError: for a DSN, channel or payload that can't be.
    """
    address = Dsn(dsn)
    from txdoorbell.listening.connector import Connector
    from txdoorbell.listening.resolver import LookupFailed, Resolver
    from txdoorbell.listening.ringer import Ringer
    from txdoorbell.listening.session import DatabaseError, SessionEnded

    connector = Connector(reactor, address, Resolver(reactor))
    ringer = (by or Ringer)(reactor, connector, ANSWER_TIMEOUT)
    try:
        await ringer.notify(channel, payload)
    except (DatabaseError, LookupFailed, SessionEnded, UnicodeError) as error:
        raise NotRung(f"{address.description}: {one_line(error)}") from None
    finally:
        ringer.close()
        await connector.when_settled()
