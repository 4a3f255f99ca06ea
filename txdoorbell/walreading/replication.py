"""
One replication session: connect, ask, then read the write-ahead log to the end.

Besides :mod:`txdoorbell.listening.session`, the only module that knows the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from psycopg2 import connect
from psycopg2.extensions import POLL_OK, POLL_WRITE, encodings
from psycopg2.extras import LogicalReplicationConnection
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall

from txdoorbell.listening.session import Session, SessionEnded

__all__ = ["ReplicationSession"]

TURN = 0.004
"""Seconds for which messages are read before the reactor has its turn."""

_AT_ONCE = 32
"""How many messages are read between two looks at the clock."""

CONFIRMED_EACH = 0.2
"""Seconds between two words to the server on how far we have read, at least."""


class ReplicationSession(Session):
    """
    A session that is asked what any is, until :meth:`stream`; from then on it reads the log.

    What it has read it confirms, so that the server need not keep it: at once, and then after
    :data:`CONFIRMED_EACH`. Nobody's function is waited for. The server's keepalives, answered by
    the driver, count as read too.
    """

    _stream: Any = None
    _starting: Deferred[None] | None = None
    _answers: tuple[Deferred[None], ...] = ()
    _spoke_at: object = None
    _feed: Callable[[bytes], object]
    _more: IDelayedCall | None = None
    _confirm: IDelayedCall | None = None
    _confirmed_at = float("-inf")
    _confirmed = 0

    def connectionFactory(self, **parameters: Any) -> Any:
        """Make psycopg2's connection, one that the server takes for a replica's."""
        connection = connect(**parameters, connection_factory=LogicalReplicationConnection)
        connection.notifies = self.inbox
        return connection

    @property
    def server_codec(self) -> str:
        """Python's name of the database's encoding; UTF-8 where it takes any bytes."""
        name = self._connection.get_parameter_status("server_encoding")
        return str(encodings.get(name, "utf_8")) if name != "SQL_ASCII" else "utf_8"

    def stream(
        self,
        slot: str,
        options: Mapping[str, str],
        feed: Callable[[bytes], object],
        *,
        within: float,
    ) -> Deferred[None]:
        """
        Begin to read from a slot; no more questions can be asked.

        :param options: those of the slot's decoder.
        :param feed: given each message, at once; an error in it ends the session.
        :param within: seconds in which the server must begin.
        :returns: fires when it has; fails with :exc:`SessionEnded` when it has not.
        """
        if not self.is_open:
            return fail(SessionEnded(self.reason or "not connected"))
        self._feed = feed
        begun: Deferred[None] = Deferred()
        self._starting = begun
        self._stream = self._connection.cursor()
        answer = self.expect(begun, "the log was not begun to be read", within)
        try:
            self._stream.start_replication(slot_name=slot, options=options, decode=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, this session is of no use
            self.end(str(error))
        else:
            self._hear()
        return answer

    def beat(self, within: float) -> Deferred[None]:
        """
        Ask the server for a word, by a keepalive.

        :param within: seconds in which anything at all must be read; else the session is ended.
        :returns: fires then; fails with :exc:`SessionEnded`.
        """
        if self._stream is None or not self.is_open:
            return fail(SessionEnded(self.reason or "the log is not read yet"))
        answer: Deferred[None] = Deferred()
        self._answers += (answer,)
        waited = self.expect(answer, "no answer to a keepalive", within)
        self._say(reply=True)
        return waited

    def _hear(self) -> None:
        if self._stream is None:
            super()._hear()
            return
        self.last_read = self._now()
        try:
            if self._starting is not None:
                self._begin(self._starting)
            else:
                self._answered_to_beat()
                self._read()
        except Exception as error:  # noqa: BLE001 - whatever stops the reading ends the session
            self.end(str(error))

    def _begin(self, starting: Deferred[None]) -> None:
        state = self._connection.poll()
        if state == POLL_WRITE:
            self.reactor.addWriter(self)
        elif state == POLL_OK:
            self._starting = None
            starting.callback(None)
            self._go_on()

    def _answered_to_beat(self) -> None:
        answers, self._answers = self._answers, ()
        for answer in answers:
            answer.callback(None)

    def _read(self) -> None:
        rest = self._read_for_a_turn()
        if self._answers and self.is_open and self._stream.io_timestamp != self._spoke_at:
            # Nobody else will see it: the descriptor tells only of what the driver hasn't got yet.
            self._answered_to_beat()
        self._confirm_soon()
        if rest:
            self._go_on()

    def _read_for_a_turn(self) -> bool:
        """Feed what has come, and say whether time was up before all was read."""
        read, feed = self._stream.read_message, self._feed
        end = self._now() + TURN
        while self.is_open:
            for _ in range(_AT_ONCE):
                message = read()
                if message is None:
                    return False
                feed(message.payload)
            if self._now() > end:
                return True
        return False

    def _go_on(self) -> None:
        """Read on in a later turn: what the driver holds already makes no reactor call us."""
        if self._more is None and self.is_open:
            self._more = self.reactor.callLater(0, self._continue)

    def _continue(self) -> None:
        self._more = None
        self.last_read = self._now()
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - as above
            self.end(str(error))

    def _confirm_soon(self) -> None:
        """Say how far it has read, but not all the time."""
        if self.is_open and self._confirm is None and self._stream.wal_end > self._confirmed:
            wait = self._confirmed_at + CONFIRMED_EACH - self._now()
            if wait <= 0:
                self._say()
            else:
                self._confirm = self.reactor.callLater(wait, self._say_later)

    def _say_later(self) -> None:
        self._confirm = None
        self._say()

    def _say(self, *, reply: bool = False) -> None:
        """Confirm what has been read so far. No restart depends on it: the slot ends with us."""
        lsn = self._confirmed = self._stream.wal_end
        self._confirmed_at = self._now()
        try:
            self._stream.send_feedback(
                write_lsn=lsn, flush_lsn=lsn, apply_lsn=lsn, reply=reply, force=True
            )
        except Exception as error:  # noqa: BLE001 - the connection is gone, or takes nothing
            self.end(str(error))
        else:
            self._spoke_at = self._stream.io_timestamp

    def _leave(self) -> None:
        for call in (self._more, self._confirm):
            if call is not None:
                call.cancel()
        self._more = self._confirm = None
        super()._leave()
