"""
One session with PostgreSQL: connect, ask, hear, end once.

With :mod:`txdoorbell.walreading.replication`, the only module that knows the drivers. It leans on
what txpostgres 1.7 keeps to itself, and mends what makes its ``Connection`` unfit to be lost:
``tests/test_session.py`` has a test for each.
"""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from txdoorbell.clocks import monotonic_of, sleepless_of
from txdoorbell.listening.dialogue import Dialogue
from txdoorbell.listening.driver import DriverMissing
from txdoorbell.listening.expectations import Expectations
from txdoorbell.listening.inbox import Inbox
from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.phases import Phase, SessionEnded
from txdoorbell.loops.waiters import Waiters

try:
    import psycopg2
    from psycopg2 import Error as DatabaseError
    from psycopg2.extensions import POLL_WRITE, make_dsn, parse_dsn
    from txpostgres.txpostgres import Connection, Cursor
except ImportError as error:
    raise DriverMissing.because(error) from error

__all__ = ["DatabaseError", "Row", "Session", "SessionEnded", "make_dsn", "parse_dsn"]

T = TypeVar("T")
Row = tuple[Any, ...]
"""One row of an answer."""


class Session(Connection):  # type: ignore[misc]
    """
    A connection that is used for one attempt, and says once how it ended.

    Its socket is always read. Nothing raises into the reactor, nothing is left in it after the end,
    and nothing here blocks: a deadline that passes ends the session and never cancels.

    :param lost: called once, with one line of text, when the session ends in any other way than by
        :meth:`close`: the error, and the server's last notice where that says more.
    :param conceal: takes secrets out of that text.
    :ivar last_read: when something was last read, on the reactor's monotonic clock.
    :ivar dialogue: when it was asked, and answered, on a clock of its own.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        lost: Callable[[str], None],
        conceal: Callable[[str], str] = str,
    ) -> None:
        super().__init__(reactor)
        self.inbox = Inbox()
        self.reason = ""
        self._now = monotonic_of(reactor)
        self.last_read = self._now()
        self.dialogue = Dialogue(sleepless_of(reactor))
        self._lost = lost
        self._conceal = conceal
        self._phase = Phase.NEW
        self._twin: socket.socket | None = None
        self._expectations = Expectations(reactor, lambda: self.last_read)
        self._unanswered = 0
        self._settlers = Waiters(self._has_settled)

    def connectionFactory(self, **parameters: Any) -> Any:
        """Make psycopg2's connection, with our inbox in it."""
        connection = psycopg2.connect(**parameters)
        connection.notifies = self.inbox
        return connection

    @property
    def is_open(self) -> bool:
        """Whether it is connected and has not ended."""
        return self._phase is Phase.OPEN

    @property
    def backend_pid(self) -> int:
        """The backend's process id as announced at connecting, by a pooler perhaps."""
        return int(self._connection.get_backend_pid())

    @property
    def peer(self) -> str:
        """The server that libpq chose, as ``host:port``."""
        return f"{self._connection.info.host}:{self._connection.info.port}"

    @property
    def address(self) -> str | tuple[str, int]:
        """What it is connected to: the path of a socket, or a host's address and a port."""
        place = self._twin.getpeername() if self._twin is not None else ""
        return os.fsdecode(place) if isinstance(place, (str, bytes)) else place[:2]

    def way(self) -> dict[str, str]:
        """Return those parameters that lead to this server, of several, and the password."""
        info = self._connection.info
        return {key: str(getattr(info, key) or "") for key in ("host", "port", "password")}

    def open(self, parameters: Mapping[str, str]) -> Deferred[None]:
        """
        Connect, by libpq's parameters. Once only; it has no deadline of its own: :meth:`expect`.

        :returns: fires once queries are taken; fails with :exc:`SessionEnded`.
        """
        if self._phase is not Phase.NEW:
            return fail(SessionEnded(self.reason or "already opened"))
        self._phase = Phase.CONNECTING
        return self._account(maybeDeferred(self._dial, parameters).addCallback(self._opened))

    def _dial(self, parameters: Mapping[str, str]) -> Deferred[object]:
        self._connection = self.connectionFactory(**parameters, async_=True)
        polled: Deferred[object] = self.poll()
        return polled

    def _opened(self, _: object) -> None:
        # A close() may have come between libpq's last word and this turn of the reactor.
        if self._phase is Phase.ENDED:
            raise SessionEnded(self.reason)
        self._twin = socket.socket(fileno=os.dup(self._connection.fileno()))
        self.fileno = self._twin.fileno  # type: ignore[method-assign]  # asked for at each event
        self._phase = Phase.OPEN
        self.last_read = self._now()
        self.reactor.addReader(self)

    def query(
        self, sql: str, values: Sequence[object] | None = None, *, within: float
    ) -> Deferred[list[Row]]:
        """
        Run one query and return its rows.

        :param within: seconds until the session is ended for want of an answer, from now on: the
            time that earlier queries take is included.
        :returns: the rows; fails with :exc:`DatabaseError` where the server refused the query and
            the session lives on, with :exc:`SessionEnded` where it doesn't.
        """
        return self._ask(self.runQuery, sql, values, within)

    def execute(self, sql: str, *, within: float) -> Deferred[None]:
        """Run statements that return no rows, otherwise as :meth:`query`."""
        return self._ask(self.runOperation, sql, None, within)

    def _ask(
        self, run: Callable[..., Deferred[T]], sql: str, values: object, within: float
    ) -> Deferred[T]:
        if self._phase is not Phase.OPEN:
            return fail(SessionEnded(self.reason or "not connected"))
        answer = self.dialogue.follow(self._account(run(sql, values)))
        return self.expect(answer, "no answer to a query", within)

    def expect(self, awaited: Deferred[T], otherwise: str, within: float) -> Deferred[T]:
        """
        Wait for something, but no longer than the session lives, nor than so many seconds.

        :param otherwise: what the reason for the session's end is to say when the time is up.
        :returns: a fresh Deferred: fires as the other one does, or fails with :exc:`SessionEnded`.
        """
        if self._phase is Phase.ENDED:
            awaited.addErrback(lambda _: None)
            return fail(SessionEnded(self.reason))
        reason = f"{otherwise} within {within:g} s"
        return self._expectations.wait(awaited, within, lambda: self.end(reason))

    def _account(self, question: Deferred[T]) -> Deferred[T]:
        """Know of each Deferred from the driver until it has fired, perhaps after the end."""
        self._unanswered += 1
        return question.addBoth(self._answered)

    def _answered(self, result: T | Failure) -> T | Failure:
        self._unanswered -= 1
        if isinstance(result, Failure):
            # A connection that failed while connecting doesn't call itself closed.
            if self._phase is Phase.CONNECTING or (self.is_open and self._connection.closed):
                self.end(str(result.value))
            if self._phase is Phase.ENDED:
                result = Failure(SessionEnded(self.reason))
            elif not self._cursors:
                self.reactor.addReader(self)
        self._settlers.look()
        return result

    def when_settled(self) -> Deferred[None]:
        """
        Return a fresh Deferred that fires once the session has ended and answered everybody.

        From then on nothing of it is left in the reactor; answers may trail the end by one turn.
        """
        return self._settlers.when()

    def _has_settled(self) -> bool:
        return self._phase is Phase.ENDED and not self._unanswered

    def end(self, reason: str) -> None:
        """End the session for a reason, which ``lost`` is told; nothing when it has ended."""
        if self._phase is not Phase.ENDED:
            self._finish(self._conceal(self._with_notice(one_line(reason))))
            self._lost(self.reason)

    def close(self) -> None:
        """End the session without telling ``lost``; nothing when it has ended."""
        if self._phase is not Phase.ENDED:
            self._finish("closed")

    def _with_notice(self, reason: str) -> str:
        """Add the server's last notice: an idle session's loss is explained there only."""
        notices = self._connection.notices if self._connection is not None else ()
        notice = one_line(notices[-1]) if notices else ""
        return reason if notice in reason else f"{reason} (server: {notice})"

    def _finish(self, reason: str) -> None:
        self.reason = reason
        self._phase = Phase.ENDED
        self.inbox.drop()
        fail_those_who_wait = self._expectations.end()
        if self._connection is not None:
            self._leave()
        self._settlers.look()
        fail_those_who_wait(SessionEnded(reason))

    def _leave(self) -> None:
        descriptors = (*self._cursors, self)
        # While the descriptor is open: no reactor finds a closed one, and some choke on it.
        for descriptor in descriptors:
            self.reactor.removeReader(descriptor)
            self.reactor.removeWriter(descriptor)
        self._connection.close()
        # A new error each: in one that all share, as in txpostgres' close(), tracebacks pile up.
        for descriptor in descriptors:
            descriptor.connectionLost(Failure(ConnectionDone()))
        if self._twin is not None:
            self._twin.close()

    def fileno(self) -> int:
        """Return the descriptor: once connected a twin of libpq's, which libpq can't close."""
        return int(super().fileno()) if self._twin is None else self._twin.fileno()

    def doRead(self) -> None:
        """Read what has come. Connecting, go on with that; it may change the descriptor."""
        if self._phase is Phase.OPEN:
            self._hear()
        else:
            super(Connection, self).doRead()

    def doWrite(self) -> None:
        """Write what libpq holds back; otherwise as :meth:`doRead`."""
        self.reactor.removeWriter(self)
        self.doRead()

    def _hear(self) -> None:
        self.last_read = self._now()
        try:
            if self._connection.poll() == POLL_WRITE:
                self.reactor.addWriter(self)
        except Exception as error:  # noqa: BLE001 - whatever stops the reading ends the session
            self.checkForNotifies()
            self.end(str(error))
        else:
            self.checkForNotifies()
            self.last_read = self._now()

    def connectionLost(self, reason: Failure) -> None:
        """Learn from the reactor that the descriptor is bad: it has been taken out already."""
        if self._phase is Phase.OPEN:
            self._hear()
            self.end(str(reason.value))
        else:
            super().connectionLost(Failure(ConnectionDone()))

    def cursor(self) -> Cursor:
        """Leave the descriptor to a query before it is sent: libpq may close it on that."""
        self.reactor.removeReader(self)
        self.reactor.removeWriter(self)
        return super().cursor()

    def cursorFinished(self, cursor: Cursor) -> None:
        """Take the descriptor back from a query, and what came with the answer out of psycopg2."""
        self._cursors.discard(cursor)
        if self._phase is Phase.OPEN and not self._connection.closed:
            self.reactor.addReader(self)
            self._hear()

    def checkForNotifies(self) -> None:
        """Hand what has arrived to the observers, synchronously: see :meth:`Inbox.deliver`."""
        self.inbox.deliver(self._notifyObservers)
