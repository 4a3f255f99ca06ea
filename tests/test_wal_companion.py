"""A session with which one question is cheap, at a real server."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from tests.servers import execute
from tests.test_session import WITHIN, SessionTestCase
from tests.waiting import in_time, wait_for
from txdoorbell.listening.session import SessionEnded, parse_dsn
from txdoorbell.walreading.companion import Companion
from txdoorbell.walreading.visibility import SNAPSHOT, Snapshot


class CompanionTests(SessionTestCase):
    """What is looked for, among other questions and at the end of the session."""

    async def companion(self) -> Companion:
        """Return one that is open."""
        session: Companion = self.session(Companion)
        await in_time("the connection", session.open(parse_dsn(self.dsn)))
        return session

    async def test_snapshot(self) -> None:
        """A look sees what was committed before it."""
        session = await self.companion()
        [(number,)] = execute(self.dsn, "select pg_current_xact_id()::text::bigint")
        for _ in range(3):
            text = await in_time("the look", session.look(SNAPSHOT, within=WITHIN))
            self.assertTrue(Snapshot.read(text).sees(number % 2**32))

    async def test_in_turn(self) -> None:
        """Questions and looks are answered in the order in which they were asked."""
        session = await self.companion()
        done: list[str] = []
        asked: list[Deferred[Any]] = [
            session.query("select pg_sleep(0.05)", within=WITHIN),
            session.look("select 'first'", within=WITHIN),
            session.query("select 1", within=WITHIN),
            session.look("select 'last'", within=WITHIN),
        ]
        for number, answer in enumerate(asked):
            answer.addCallback(lambda result, number: done.append(f"{number} {result}"), number)
        await in_time("the answers", gatherResults(asked))
        self.assertEqual(done, ["0 [('',)]", "1 first", "2 [(1,)]", "3 last"])

    async def test_refused(self) -> None:
        """What the server refuses to answer ends the session, with its words."""
        session = await self.companion()
        looked = session.look("select 1/0", within=WITHIN)
        error = await self.assertFailure(looked, SessionEnded)
        self.assertIn("division by zero", str(error))
        await wait_for("the end to be told", lambda: self.lost)
        self.assertEqual(len(self.lost), 1)

    async def test_lost(self) -> None:
        """A look that is under way fails when the session ends, and so does one after it."""
        session = await self.companion()
        looks = [session.look("select pg_sleep(60)", within=WITHIN) for _ in range(2)]
        execute(self.dsn, f"select pg_terminate_backend({session.backend_pid})")
        for look in [*looks, session.look("select 1", within=WITHIN)]:
            error = await self.assertFailure(look, SessionEnded)
            self.assertIn("terminating connection", str(error))
        await in_time("the session to settle", session.when_settled())

    async def test_closed(self) -> None:
        """So it does when it is closed, or the answer takes too long."""
        session = await self.companion()
        look = session.look("select pg_sleep(60)", within=WITHIN)
        session.close()
        await self.assertFailure(look, SessionEnded)
        session = await self.companion()
        error = await self.assertFailure(
            session.look("select pg_sleep(9)", within=0.1), SessionEnded
        )
        self.assertIn("no answer to a query within 0.1 s", str(error))
