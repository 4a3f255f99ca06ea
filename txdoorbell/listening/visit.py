"""One session with a database, for a command that asks it something and leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from txdoorbell.listening.dsn import Dsn
from txdoorbell.listening.oneline import one_line

if TYPE_CHECKING:
    from txdoorbell.listening.session import Session

__all__ = ["Refused", "visit"]

T = TypeVar("T")


class Refused(Exception):
    """The database can't be reached, or said no; the text is one line without a password."""


async def visit(reactor: Any, dsn: str, ask: Callable[[Session], Awaitable[T]]) -> T:
    """
    Connect, ask, and hang up. What isn't committed by then is rolled back.

    :param dsn: where; what it leaves out comes from libpq's environment.
    :param ask: what to do with the session.
    :returns: what that comes to.
    :raises Refused: when the server did not take it.
    :raises DriverMissing: without psycopg2 or txpostgres.
    :raises ValueError: for a DSN that can't be.
    """
    address = Dsn(dsn)
    from txdoorbell.listening.connector import Connector
    from txdoorbell.listening.resolver import LookupFailed, Resolver
    from txdoorbell.listening.session import DatabaseError, SessionEnded

    connector = Connector(reactor, address, Resolver(reactor))
    session = connector.session(lambda _: None)
    try:
        await connector.connect(session)
        return await ask(session)
    except DatabaseError as error:
        # Without the text of the statement, which libpq adds.
        said = error.diag.message_primary or str(error)
        raise Refused(address.conceal(f"{address.description}: {one_line(said)}")) from None
    except (LookupFailed, SessionEnded, UnicodeError) as error:
        raise Refused(f"{address.description}: {one_line(error)}") from None
    finally:
        session.close()
        await connector.when_settled()
