"""Sessions for which the test speaks, on a Clock: what they are asked waits for its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txdoorbell.listening.session import Session


class FakeSession(Session):
    """
    A session without a connection; its deadlines and its ends are the real ones'.

    :ivar asked: the SQL, the values and the open Deferred of each question, in order.
    :ivar connected: fires when the test lets it connect.
    """

    def __init__(self, clock: Clock, lost: Callable[[str], None]) -> None:
        super().__init__(clock, lost)
        self.asked: list[tuple[str, Any, Deferred[Any]]] = []
        self.connected: Deferred[None] = Deferred()
        self.ended = False

    is_open = property(lambda self: self.connected.called and not self.reason)
    backend_pid = 4711
    peer = "db:5432"

    def query(self, sql: str, values: Sequence[object] | None = None, *, within: float) -> Any:
        """Ask a question."""
        question: Deferred[Any] = Deferred()
        self.asked.append((sql, values, question))
        return self.expect(self.dialogue.follow(question), "no answer to a query", within)

    def execute(self, sql: str, *, within: float) -> Any:
        """Ask a question without an answer."""
        return self.query(sql, within=within)

    def answer(self, rows: object = None) -> None:
        """Answer the oldest question: with rows, or with an error."""
        _, _, question = self.asked.pop(0)
        if isinstance(rows, Exception):
            question.errback(rows)
        else:
            question.callback(rows)

    def questions(self) -> list[str]:
        """Return what is asked, and not answered."""
        return [sql for sql, _, _ in self.asked]


class FakeConnector:
    """
    Makes sessions that connect when the test lets them.

    :ivar sessions: all of them, in order.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sessions: list[FakeSession] = []
        self.pooled = False

    def session(self, lost: Callable[[str], None]) -> FakeSession:
        """Make a session."""
        self.sessions.append(FakeSession(self.clock, lost))
        return self.sessions[-1]

    async def connect(self, session: FakeSession) -> None:
        """Connect it, when the test says so."""
        await session.expect(session.connected, "not connected", 10.0)

    async def set_up(self, session: FakeSession) -> bool:
        """Say whether there is a pooler."""
        await session.query("set up", within=5.0)
        return self.pooled

    def open_sessions(self) -> list[FakeSession]:
        """Return those that have not ended."""
        return [session for session in self.sessions if not session.reason]
