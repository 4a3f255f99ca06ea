"""
One session at a real server: what it asks, hears, and how it ends.

With it, what we lean on in txpostgres and psycopg2 that neither promises: those tests name it.
"""

from __future__ import annotations

from typing import Any

import psycopg2
import txpostgres
from psycopg2.extensions import parse_dsn
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from txpostgres.txpostgres import Cursor

from tests.faults.case import address, sockets
from tests.logs import LogMixin
from tests.proxy import Proxy
from tests.servers import execute, shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.listening.inbox import Inbox
from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.session import DatabaseError, Session, SessionEnded
from txdoorbell.notification import Hearable

WITHIN = 5.0


class SessionTestCase(LogMixin, TestCase):
    """Sessions at the shared server; at the end nothing of them is left."""

    def setUp(self) -> None:
        """Know the server."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.dsn = shared_server().dsn
        self.lost: list[str] = []
        self.capture_logs()
        self.addCleanup(self.check_sockets, sockets())

    async def check_sockets(self, before: set[str]) -> None:
        """Fail when sockets are open that weren't before."""
        await wait_for("the sockets to be closed", lambda: not sockets() - before, 3.0)

    def session(self, kind: type[Session] = Session) -> Any:
        """Return a session that isn't connected; it is closed at the end."""
        session = kind(self.reactor, self.lost.append)
        self.addCleanup(session.when_settled)
        self.addCleanup(session.close)
        return session

    async def opened(self, dsn: str = "") -> Any:
        """Return a session that is open."""
        session = self.session()
        await in_time("the connection", session.open(parse_dsn(f"{self.dsn} {dsn}")))
        return session

    async def terminate(self, session: Any) -> None:
        """End a session as an administrator would, and wait until that is known."""
        execute(self.dsn, "select pg_terminate_backend(%s)", (session.backend_pid,))
        await wait_for("the loss", lambda: self.lost)

    def watched(self) -> list[object]:
        """Return the sessions and cursors that the reactor watches."""
        everything = [*self.reactor.getReaders(), *self.reactor.getWriters()]
        return [one for one in everything if isinstance(one, (Session, Cursor))]

    async def fails(self, answer: Deferred[Any], kind: type[Exception] = SessionEnded) -> str:
        """Assert that a Deferred fails in this way; return the text."""
        try:
            await in_time("a failure", answer)
        except kind as error:
            return str(error)
        raise AssertionError(f"no {kind.__name__}")


class AskingTests(SessionTestCase):
    """Queries and their ends."""

    async def test_query(self) -> None:
        """Rows are returned; values are passed beside the text."""
        session = await self.opened()
        rows = await session.query("select %s, %s::text[]", (1, ["a", "é"]), within=WITHIN)
        self.assertEqual(rows, [(1, ["a", "é"])])

    async def test_execute(self) -> None:
        """Statements without rows return None, several of them too."""
        session = await self.opened()
        self.assertIsNone(await session.execute("listen a; unlisten a", within=WITHIN))

    async def test_one_after_another(self) -> None:
        """Questions may be asked before earlier ones are answered, and each gets its answer."""
        session = await self.opened()
        answers = [session.query("select %s", (n,), within=WITHIN) for n in range(5)]
        self.assertEqual([(await answer)[0][0] for answer in answers], list(range(5)))

    async def test_refused_query(self) -> None:
        """A query that the server refuses fails with its error; the session lives on."""
        session = await self.opened()
        text = await self.fails(session.query("select 1/0", within=WITHIN), DatabaseError)
        self.assertIn("division by zero", text)
        self.assertEqual(await session.query("select 1", within=WITHIN), [(1,)])
        self.assertEqual(self.lost, [])

    async def test_query_that_cannot_be_sent(self) -> None:
        """One that psycopg2 refuses fails too, and the session goes on listening."""
        session = await self.opened("client_encoding=latin1")
        heard: list[Hearable] = []
        session.addNotifyObserver(heard.append)
        await session.execute("listen a", within=WITHIN)
        await self.fails(session.query("select %s", ("中",), within=WITHIN), UnicodeError)
        execute(self.dsn, "notify a")
        await wait_for("the notification", lambda: heard)

    async def test_deadline(self) -> None:
        """A query that takes too long ends the session, at once and without a cancel request."""
        session = await self.opened()
        text = await self.fails(session.query("select pg_sleep(60)", within=0.1))
        self.assertEqual(text, "no answer to a query within 0.1 s")
        self.assertEqual(self.lost, [text])
        self.assertFalse(session.is_open)

    async def test_deadline_of_those_behind(self) -> None:
        """The session's end is that of all that was asked."""
        session = await self.opened()
        answers = [session.query("select pg_sleep(60)", within=0.1 + n) for n in range(3)]
        for answer in answers:
            self.assertIn("within 0.1 s", await self.fails(answer))

    async def test_cancelled_by_a_caller(self) -> None:
        """A caller that cancels has given up waiting: the server isn't asked to cancel."""
        session = await self.opened()
        answer = session.query("select pg_sleep(0.1)", within=WITHIN)
        answer.cancel()
        answer.addErrback(lambda _: None)
        self.assertEqual(await session.query("select 1", within=WITHIN), [(1,)])

    async def test_not_open(self) -> None:
        """Nothing can be asked before it is open, or after the end."""
        session = self.session()
        await self.fails(session.query("select 1", within=WITHIN))
        session.close()
        await self.fails(session.query("select 1", within=WITHIN))
        await self.fails(session.open({}))

    async def test_opened_once(self) -> None:
        """One object is for one attempt."""
        session = await self.opened()
        await self.fails(session.open(parse_dsn(self.dsn)))
        self.assertTrue(session.is_open)


class EndingTests(SessionTestCase):
    """Ways to end: each is told once, and leaves nothing behind."""

    async def test_refused(self) -> None:
        """A connection that is refused is lost, with libpq's words."""
        session = self.session()
        text = await self.fails(session.open(parse_dsn(f"{self.dsn} port=1")))
        self.assertIn("refused", text)
        self.assertEqual(self.lost, [text])
        self.assertEqual(self.watched(), [])

    async def test_refused_by_psycopg2(self) -> None:
        """Parameters that libpq refuses are no different."""
        session = self.session()
        text = await self.fails(session.open({**parse_dsn(self.dsn), "sslmode": "bogus"}))
        self.assertEqual(self.lost, [text])

    async def test_terminated_idle(self) -> None:
        """An idle session's end is told with libpq's words and the server's."""
        session = await self.opened()
        await self.terminate(session)
        [text] = self.lost
        self.assertIn("server closed the connection unexpectedly", text)
        self.assertIn("FATAL: terminating connection due to administrator command", text)
        self.assertEqual(text, one_line(text))
        self.assertEqual(self.watched(), [])

    async def test_terminated_in_a_query(self) -> None:
        """One end in the midst of queries: told once, and the queries fail with it."""
        session = await self.opened()
        answers = [session.query("select pg_sleep(60)", within=WITHIN) for _ in range(2)]
        await self.terminate(session)
        for answer in answers:
            self.assertEqual(await self.fails(answer), self.lost[0])
        self.assertEqual(len(self.lost), 1)

    async def test_closed(self) -> None:
        """Closed by its owner, it tells nobody; what is asked fails; a second close is nothing."""
        session = await self.opened()
        answer = session.query("select pg_sleep(60)", within=WITHIN)
        session.close()
        session.close()
        self.assertEqual(self.watched(), [])
        await self.fails(answer)
        session.end("too late")
        self.assertEqual(self.lost, [])

    async def test_closed_before(self) -> None:
        """Closed before it was opened, it can't be opened."""
        session = self.session()
        session.close()
        await self.fails(session.open(parse_dsn(self.dsn)))

    async def test_closed_connecting(self) -> None:
        """Closed at each moment of connecting, it leaves nothing, and the opening fails."""
        for turns in range(12):
            session = self.session()
            opening = session.open(parse_dsn(self.dsn))
            for _ in range(turns):
                await deferLater(self.reactor, 0)
            opened_in_time = session.is_open
            session.close()
            self.assertEqual(self.watched(), [])
            if not opened_in_time:
                await self.fails(opening)
            await in_time("the end", session.when_settled())

    async def test_settled(self) -> None:
        """It is settled when it has ended and nobody waits any more."""
        session = await self.opened()
        answers = [session.query("select 1", within=WITHIN) for _ in range(2)]
        settled = session.when_settled()
        self.assertNoResult(settled)
        session.close()
        await in_time("the end", settled)
        for answer in answers:
            await self.fails(answer)

    async def test_expecting(self) -> None:
        """Anything can be waited for until the session's end; what comes later is dropped."""
        session, other = await self.opened(), Deferred[int]()
        answer = session.expect(other, "no number", 60.0)
        session.end("for a reason")
        self.assertEqual(await self.fails(answer), "for a reason")
        other.callback(7)
        late: Deferred[int] = Deferred()
        await self.fails(session.expect(late, "no number", 60.0))
        late.errback(ValueError("dropped"))

    async def test_concealed(self) -> None:
        """What is to be concealed is taken out of every text."""
        session = Session(self.reactor, self.lost.append, lambda text: text.replace("bad", "***"))
        session.end("a bad end")
        self.assertEqual((self.lost, session.reason), (["a *** end"], "a *** end"))


class HearingTests(SessionTestCase):
    """Notifications: all of them, at once and in order."""

    async def hearing(self) -> tuple[Any, list[Hearable]]:
        """Return a session that listens to ``a``, and what it hears."""
        session = await self.opened()
        heard: list[Hearable] = []
        session.addNotifyObserver(heard.append)
        await session.execute("listen a", within=WITHIN)
        return session, heard

    async def test_order(self) -> None:
        """Thousands are heard in the order of their commits, over many reads."""
        _, heard = await self.hearing()
        for batch in range(10):
            execute(
                self.dsn,
                "select count(pg_notify('a', (%s * 1000 + n)::text))"
                " from generate_series(0, 999) as n",
                (batch,),
            )
        await wait_for("all of them", lambda: len(heard) >= 10000)
        self.assertEqual([one.payload for one in heard], [str(n) for n in range(10000)])

    async def test_with_an_answer(self) -> None:
        """What comes along with an answer is heard with it: nothing else may come for long."""
        session, heard = await self.hearing()
        await session.query("select 1 from pg_notify('a', '')", within=WITHIN)
        self.assertEqual(len(heard), 1)

    async def test_during_a_query(self) -> None:
        """What is sent while a query runs is heard at the end of it."""
        session, heard = await self.hearing()
        answer = session.query("select pg_sleep(0.2)", within=WITHIN)
        execute(self.dsn, "notify a")
        await answer
        self.assertEqual(len(heard), 1)

    async def test_before_the_loss(self) -> None:
        """What has arrived is handed on before the loss is told."""
        session, heard = await self.hearing()
        order: list[object] = []
        session.addNotifyObserver(lambda one: order.append(one.channel))
        self.lost = order  # type: ignore[assignment]
        execute(self.dsn, "notify a")
        await wait_for("the notification", lambda: heard)
        await self.terminate(session)
        self.assertEqual(order[0], "a")

    async def test_failing_observer(self) -> None:
        """An observer's error is logged, and everybody hears everything."""
        session, heard = await self.hearing()

        def fail(_: Hearable) -> None:
            raise ZeroDivisionError

        session.addNotifyObserver(fail)
        execute(self.dsn, "select pg_notify('a', n::text) from generate_series(1, 3) as n")
        await wait_for("the notifications", lambda: len(heard) == 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        session.removeNotifyObserver(fail)
        execute(self.dsn, "notify a")
        await wait_for("another", lambda: len(heard) == 4)

    async def test_closing_observer(self) -> None:
        """When an observer closes the session, nothing more is heard."""
        session, _ = await self.hearing()
        heard: list[Hearable] = []

        def close(notification: Hearable) -> None:
            heard.append(notification)
            session.close()

        for observer in session.getNotifyObservers():
            session.removeNotifyObserver(observer)
        session.addNotifyObserver(close)
        execute(self.dsn, "select pg_notify('a', n::text) from generate_series(1, 9) as n")
        await wait_for("the first", lambda: heard)
        await deferLater(self.reactor, 0.05)
        self.assertEqual(len(heard), 1)


class LeaningTests(SessionTestCase):
    """What we lean on in txpostgres 1.7 and psycopg2, by name."""

    def test_version(self) -> None:
        """All of this was read in txpostgres 1.7; another version has to be read again."""
        self.assertEqual(txpostgres.__version__[:2], (1, 7))

    async def test_connection_factory(self) -> None:
        """``connectionFactory`` makes ``_connection``, whose ``notifies`` is our container."""
        session = await self.opened()
        self.assertIsInstance(session._connection, psycopg2.extensions.connection)  # noqa: SLF001
        self.assertIs(session._connection.notifies, session.inbox)  # noqa: SLF001
        self.assertIsInstance(session.inbox, Inbox)

    async def test_polling_deferred(self) -> None:
        """``_pollingD`` is there while something is awaited; closing fires it."""
        session = self.session()
        opening = session.open(parse_dsn(self.dsn))
        self.assertIsNotNone(session._pollingD)  # noqa: SLF001
        session.close()
        self.assertIsNone(session._pollingD)  # noqa: SLF001
        await self.fails(opening)

    async def test_cursors(self) -> None:
        """``_cursors`` has the running one, which has the descriptor for itself, and then not."""
        session = await self.opened()
        self.assertEqual(self.watched(), [session])
        answer = session.query("select pg_sleep(0.05)", within=WITHIN)
        [cursor] = session._cursors  # noqa: SLF001
        self.assertEqual(self.watched(), [cursor])
        await answer
        self.assertEqual((self.watched(), session._cursors), ([session], set()))  # noqa: SLF001

    async def test_cursors_out_first(self) -> None:
        """A close takes the running cursor out of the reactor while its descriptor is open."""
        session = await self.opened()
        answer = session.query("select pg_sleep(60)", within=WITHIN)
        [cursor] = session._cursors  # noqa: SLF001
        seen: list[int] = []
        real = session.reactor

        class Watching:
            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

            def removeReader(self, reader: Any) -> None:
                if reader is cursor:
                    seen.append(reader.fileno())
                real.removeReader(reader)

        session.reactor = Watching()
        session.close()
        self.assertGreater(seen[0], 0)
        await self.fails(answer)

    async def test_check_for_notifies(self) -> None:
        """``checkForNotifies`` is what hands on, from ``doRead`` and after a query: ours."""
        calls: list[int] = []

        class Counting(Session):
            def checkForNotifies(self) -> None:
                calls.append(1)
                super().checkForNotifies()

        session = self.session(Counting)
        await in_time("the connection", session.open(parse_dsn(self.dsn)))
        await session.execute("listen a", within=WITHIN)
        self.assertEqual(len(calls), 1)
        execute(self.dsn, "notify a")
        await wait_for("the notification", lambda: len(calls) > 1)

    async def test_do_read_quiet(self) -> None:
        """``doRead`` raises and logs nothing when the connection is lost, nor afterwards."""
        proxy = Proxy(self, address(self.dsn))
        session = await self.opened(f"port={proxy.port}")
        proxy.reset()
        await wait_for("the loss", lambda: self.lost)
        session.doRead()
        session.doWrite()
        self.assertEqual(len(self.lost), 1)

    async def test_connecting_watches_one(self) -> None:
        """While connecting, ``doRead`` of the mixin leaves the descriptor before each ``poll``."""
        polled: list[list[object]] = []
        watched = self.watched

        class Watching(Session):
            def continuePolling(self, *arguments: bool) -> None:
                polled.append(watched())
                super().continuePolling(*arguments)

        session = self.session(Watching)
        await in_time("the connection", session.open(parse_dsn(self.dsn)))
        self.assertGreater(len(polled), 2)
        self.assertEqual([one for one in polled if one], [])
        self.assertEqual(self.watched(), [session])
