"""The sender's end: NOTIFY, on a connection that listens to nothing."""

from collections.abc import Iterable
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python import log

from txdoorbell.listening.connector import Connector
from txdoorbell.listening.resolver import LookupFailed
from txdoorbell.listening.session import DatabaseError, Session, SessionEnded
from txdoorbell.notification import ListenerStopped, check_channel, check_payload

__all__ = ["Ringer"]

_BATCH = 500
_NOTIFY = (
    "select pg_catalog.pg_notify(ring.channel, ring.payload)"
    " from rows from (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[]))"
    " as ring(channel, payload)"
)


class _Ring(NamedTuple):
    channel: str
    payload: str
    rung: Deferred[None]

    def settle(self, error: Exception | None = None) -> None:
        """Tell the caller, unless it has cancelled its Deferred."""
        if self.rung.called:
            return
        if error is None:
            self.rung.callback(None)
        else:
            self.rung.errback(error)


class Ringer:
    """
    Sends notifications in the order of the calls, those that gather meanwhile as one statement.

    It connects when there is something to send and hangs up when there was nothing for a while.

    :param timeout: seconds in which the server must answer each statement.
    :param linger: seconds for which an unused connection is kept.
    """

    statement = _NOTIFY
    """What sends a batch: given a list of channels, and one of payloads."""

    def __init__(
        self, reactor: IReactorTime, connector: Connector, timeout: float, linger: float = 5.0
    ) -> None:
        self._reactor = reactor
        self._connector = connector
        self._timeout = timeout
        self._linger = linger
        self._queue: list[_Ring] = []
        self._sending = False
        self._stopped = False
        self._session: Session | None = None
        self._hang_up: IDelayedCall | None = None

    def notify(self, channel: str, payload: str = "") -> Deferred[None]:
        """
        Ring a channel.

        :returns: a fresh Deferred that fires once the NOTIFY is committed. It fails with the
            server's error; with :exc:`SessionEnded` when there was no connection, or no answer, in
            which case it may have been committed; with :exc:`ListenerStopped` after :meth:`close`.
        :raises TypeError: for a channel or payload that is no str.
        :raises ValueError: for a channel or payload that PostgreSQL would not take.
        """
        ring = _Ring(check_channel(channel), check_payload(payload), Deferred())
        self._queue.append(ring)
        if not self._sending:
            self._sending = True
            self._keep()
            Deferred.fromCoroutine(self._drain()).addErrback(
                lambda failure: log.err(failure, "NOTIFY")
            )
        return ring.rung

    def close(self) -> None:
        """Send nothing more, and hang up; what isn't known to be committed fails."""
        self._stopped = True
        self._fail_queue(ListenerStopped("stopped"))
        self._drop()

    async def _drain(self) -> None:
        while self._queue:
            try:
                session = await self._connected()
            except (SessionEnded, LookupFailed) as error:
                self._drop()
                self._fail_queue(error)
            else:
                await self._send(session, self._take())
        self._sending = False
        if self._session is not None:
            self._hang_up = self._reactor.callLater(self._linger, self._drop)

    async def _connected(self) -> Session:
        if self._session is None or not self._session.is_open:
            session = self._connector.session(lambda _: self._lost(session))
            self._session = session
            await self._connector.connect(session)
        return self._session

    def _take(self) -> list[_Ring]:
        """Take the longest batch without duplicates: in one transaction they would be merged."""
        batch: dict[tuple[str, str], _Ring] = {}
        for ring in self._queue[:_BATCH]:
            if ring[:2] in batch:
                break
            batch[ring[:2]] = ring
        del self._queue[: len(batch)]
        return list(batch.values())

    async def _send(self, session: Session, batch: list[_Ring]) -> None:
        columns = [ring.channel for ring in batch], [ring.payload for ring in batch]
        try:
            await session.query(self.statement, columns, within=self._timeout)
        except SessionEnded as error:
            _settle(batch, ListenerStopped("stopped") if self._stopped else error)
        except (DatabaseError, UnicodeError) as error:
            await self._refused(session, batch, error)
        else:
            _settle(batch)

    async def _refused(self, session: Session, batch: list[_Ring], error: Exception) -> None:
        """Find out by itself which of a batch is to blame: the others are sent."""
        if len(batch) == 1:
            _settle(batch, error)
        else:
            for ring in batch:
                await self._send(session, [ring])

    def _fail_queue(self, error: Exception) -> None:
        queue, self._queue = self._queue, []
        _settle(queue, error)

    def _lost(self, session: Session) -> None:
        # What it was asked has failed before this, and may have led to another session.
        if session is self._session:
            self._drop()

    def _drop(self) -> None:
        self._keep()
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _keep(self) -> None:
        if self._hang_up is not None and self._hang_up.active():
            self._hang_up.cancel()
        self._hang_up = None


def _settle(batch: Iterable[_Ring], error: Exception | None = None) -> None:
    for ring in batch:
        ring.settle(error)
