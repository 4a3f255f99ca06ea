"""How sessions are made: names looked up, connected within a deadline, set up for listening."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from txdoorbell.listening.dsn import Dsn
from txdoorbell.listening.resolver import Resolver
from txdoorbell.listening.session import Session

__all__ = ["Connector", "Timing"]

_S = TypeVar("_S", bound=Session)

_SETTINGS = {
    "idle_in_transaction_session_timeout": "60000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""What the server is asked to do, so that it drops a session whose client is gone. Not by startup
options, which poolers refuse or drop; one that a server doesn't know is passed over."""

_SET_UP = (
    "select pg_catalog.pg_backend_pid(), ("
    "select count(pg_catalog.set_config(known.name, wanted.value, false))"
    " from rows from (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[]))"
    " as wanted(name, value)"
    " join pg_catalog.pg_settings as known using (name)),"
    " case pg_catalog.current_setting('server_encoding') when 'SQL_ASCII'"
    " then pg_catalog.set_config('client_encoding', 'SQL_ASCII', false) end"
)
"""Where the database takes any bytes, the server must not check them on their way to us: it would
end the session for those that are no UTF-8. psycopg2 replaces them."""


_APPLY = (
    "select known.name, pg_catalog.set_config(known.name, wanted.value, false)"
    " from rows from (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[]))"
    " as wanted(name, value)"
    " join pg_catalog.pg_settings as known using (name)"
)


@dataclass(frozen=True)
class Timing:
    """How long is waited for what, in seconds. An interval of 0 means never."""

    connect_timeout: float = 10.0
    query_timeout: float = 5.0
    heartbeat: float = 10.0
    heartbeat_timeout: float = 5.0
    probe_interval: float = 60.0
    probe_timeout: float = 5.0

    def __post_init__(self) -> None:
        """
        Check the seconds.

        :raises ValueError: for a deadline that isn't positive or an interval below 0.
        """
        for name, seconds in vars(self).items():
            if not (seconds > 0 or (seconds == 0 and name in ("heartbeat", "probe_interval"))):
                raise ValueError(f"{name} can't be {seconds!r} seconds")


class Connector:
    """
    Makes the sessions of one listener, all of them alike, and knows those not settled yet.

    :param dsn: where to connect.
    :param resolver: looks up the names in it.
    """

    def __init__(
        self, reactor: IReactorTime, dsn: Dsn, resolver: Resolver, timing: Timing = Timing()
    ) -> None:
        self._reactor = reactor
        self._dsn = dsn
        self._resolver = resolver
        self._timing = timing
        self._failures = 0
        self._unsettled: set[Session] = set()

    def session(self, lost: Callable[[str], None]) -> Session:
        """Return a new session, not connected yet; ``lost`` is told of its end, as it promises."""
        return self.session_of(Session, lost)

    def session_of(self, kind: type[_S], lost: Callable[[str], None]) -> _S:
        """Return a new session of another kind, otherwise as :meth:`session` does."""
        session = kind(self._reactor, lost, self._dsn.conceal)
        self._unsettled.add(session)
        session.when_settled().addCallback(lambda _: self._unsettled.discard(session))
        return session

    async def connect(self, session: Session) -> None:
        """
        Connect a session, or end it when that takes too long, name lookups included.

        :raises SessionEnded: when the session was refused, or has ended meanwhile.
        :raises LookupFailed: when there is no address to connect to.
        """
        opening = Deferred.fromCoroutine(self._open(session))
        await session.expect(opening, "not connected", self._timing.connect_timeout)

    async def _open(self, session: Session) -> None:
        parameters = await self._resolver.parameters(self._dsn)
        # Counted beforehand: a deadline may leave this waiting for good.
        self._failures += 1
        await session.open(_rotated(parameters, self._failures - 1))
        self._failures -= 1

    async def set_up(self, session: Session) -> bool:
        """
        Give a session the settings of a listening one.

        :returns: whether a pooler is in between: the backend isn't the one announced.
        """
        values = list(_SETTINGS), list(_SETTINGS.values())
        [(pid, *_)] = await session.query(_SET_UP, values, within=self._timing.query_timeout)
        return bool(pid != session.backend_pid)

    async def apply(self, session: Session, settings: Mapping[str, str]) -> frozenset[str]:
        """
        Give a session further settings.

        :returns: the names of those that the server knows; the others are passed over.
        """
        values = list(settings), list(settings.values())
        rows = await session.query(_APPLY, values, within=self._timing.query_timeout)
        return frozenset(name for name, _ in rows)

    def when_settled(self) -> Deferred[list[None]]:
        """Return a fresh Deferred: fires once nothing of any session is left in the reactor."""
        return gatherResults([session.when_settled() for session in self._unsettled])


def _rotated(parameters: dict[str, str], turns: int) -> dict[str, str]:
    """
    Begin libpq's list of servers with another one after each attempt that failed.

    libpq tries the next one when one refuses, but on its asynchronous path it has no deadline: a
    silent one would use up ours each time.
    """
    rotated = dict(parameters)
    for key in ("host", "hostaddr", "port"):
        items = parameters.get(key, "").split(",")
        turn = turns % len(items)
        if len(items) > 1:
            rotated[key] = ",".join(items[turn:] + items[:turn])
    return rotated
