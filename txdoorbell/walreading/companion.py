"""An ordinary session beside the one that reads the log, with which one question is cheap."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from txdoorbell.listening.session import Session, SessionEnded

__all__ = ["Companion"]


class Companion(Session):
    """
    A session that can be asked for one value very often.

    What :meth:`query` does on top, which is to take the descriptor from the reactor, to give it
    back, and to answer some turns later, takes longer than the server does.
    """

    _looked: Deferred[str] | None = None
    _cursor: Any = None

    def look(self, sql: str, *, within: float) -> Deferred[str]:
        """
        Ask for one value, after all that has been asked before.

        :param within: as for :meth:`query`.
        :returns: the value's text; fails with :exc:`SessionEnded`, also where the server refuses to
            answer: that ends the session.
        """
        if not self.is_open:
            return fail(SessionEnded(self.reason or "not connected"))
        return self.expect(self.lock.run(self._look, sql), "no answer to a query", within)

    def _look(self, sql: str) -> Deferred[str]:
        if not self.is_open:
            return fail(SessionEnded(self.reason))
        self._looked = Deferred()
        answer = self._account(self._looked)
        try:
            self._cursor = self._connection.cursor()
            self._cursor.execute(sql)
        except Exception as error:  # noqa: BLE001 - whatever it is, this session is of no use
            self.end(str(error))
        return answer

    def _hear(self) -> None:
        super()._hear()
        if self._looked is not None and self.is_open and not self._connection.isexecuting():
            looked, self._looked = self._looked, None
            [value] = self._cursor.fetchone()
            looked.callback(str(value))

    def _leave(self) -> None:
        super()._leave()
        looked, self._looked = self._looked, None
        if looked is not None:
            looked.errback(Failure(SessionEnded(self.reason)))
