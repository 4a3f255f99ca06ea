"""The locks on a session for which the test speaks: batches, errors, and how long they are safe."""

from __future__ import annotations

from typing import Any

from psycopg2 import Error
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fake_sessions import FakeSession
from tests.lock_world import LOCKS, World
from tests.logs import LogMixin
from txdoorbell.fleet.keys import lock_key
from txdoorbell.fleet.locking import (
    Answer,
    Denied,
    Granted,
    Holder,
    LockFailed,
    LockSession,
    Passed,
)
from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.dialogue import Dialogue
from txdoorbell.listening.heartbeat import Heartbeat
from txdoorbell.listening.lockdesk import LockDesk
from txdoorbell.listening.locks import SessionLocks
from txdoorbell.listening.locktiming import LockTiming
from txdoorbell.listening.session import SessionEnded

ABSENT = "42P01"


def rows(*names: str) -> list[tuple[int]]:
    """Return the answer to a try by which these were got."""
    return [(lock_key(name)[1],) for name in names]


class Refused(Error):
    """An error of the server's."""

    def __init__(self, text: str, pgcode: str) -> None:
        super().__init__(text)
        self.code = pgcode

    @property
    def pgcode(self) -> str:  # type: ignore[override]  # the real one is no more writable
        """The SQLSTATE."""
        return self.code


class Audience:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []
        self.most: int | None = None

    def room(self) -> int | None:
        """Have room."""
        return self.most

    def opened(self, session: LockSession) -> None:
        """Be told."""
        self.told.append(("opened", session))

    def closed(self, reason: str) -> None:
        """Be told."""
        self.told.append(("closed", reason))

    def undone(self, name: str) -> None:
        """Be told."""
        self.told.append(("undone", name))


class SessionLocksTestCase(LogMixin, SynchronousTestCase):
    """A session with locks, on a Clock; nothing may be left of it."""

    def setUp(self) -> None:
        """Have a session that is open."""
        self.capture_logs()
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.lost: list[str] = []
        self.session = FakeSession(self.clock, self.end)
        self.session.connected.callback(None)
        self.slept = 0.0
        self.session.dialogue = Dialogue(lambda: self.clock.seconds() + self.slept)
        self.audience = Audience()
        self.desk = LockDesk(Announcer(self.clock))
        self.desk.serve(self.audience, 2.0)
        session: Any = self.session
        reactor: Any = self.clock
        self.locks = SessionLocks(reactor, session, False, LockTiming(2.0), 5.0, self.desk, "here")
        self.addCleanup(self.finish)

    def end(self, reason: str) -> None:
        """Do what the listener does at the end of a session."""
        self.lost.append(reason)
        self.locks.end()

    def finish(self) -> None:
        """Close it; nothing is left."""
        self.session.close()
        self.locks.end()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def ask(self, *names: str) -> list[Deferred[Answer]]:
        """Try for locks, in one turn."""
        answers = [self.locks.try_for(name) for name in names]
        self.clock.advance(0)
        return answers

    def hold(self, name: str = "billing") -> None:
        """Hold a lock."""
        [answer] = self.ask(name)
        self.session.answer(rows(name))
        self.session.answer([(name, 1, 999.0)])
        self.successResultOf(answer)

    def is_asked(self, *pieces: str) -> None:
        """Fail unless these are all the questions, by a piece of each."""
        questions = self.session.questions()
        self.assertEqual(len(questions), len(pieces), questions)
        for question, piece in zip(questions, pieces, strict=True):
            self.assertIn(piece, question)


class TryTests(SessionLocksTestCase):
    """What the server is asked, and what is made of its answers."""

    def test_batch(self) -> None:
        """What is tried for in one turn is one question; then leases, and who holds the others."""
        answers = self.ask("a", "b", "c")
        self.is_asked("pg_try_advisory_lock")
        self.session.answer(rows("a"))
        self.is_asked("insert into")
        self.session.answer([("a", 7, 999.0)])
        self.is_asked("pg_locks")
        self.session.answer([("b", "there", 2, 998.0, 6, 0)])
        granted, denied, unknown = map(self.successResultOf, answers)
        assert isinstance(granted, Granted)
        self.assertEqual((int(granted.lease), granted.lease.host), (7, "here"))
        self.assertEqual(denied, Denied(Holder("there", 2, 998.0, 6, 0)))
        self.assertEqual(unknown, Denied(None))

    def test_room(self) -> None:
        """Where there is room for one, the first that is free is got; what follows is not."""
        self.audience.most = 1
        answers = self.ask("a", "b", "c")
        [(_, values, _)] = self.session.asked
        self.assertEqual(values, ([key for (key,) in rows("a", "b", "c")], 1))
        self.session.answer(rows("b"))
        self.session.answer([("b", 7, 999.0)])
        self.session.answer([("a", "there", 2, 998.0, 6, 0)])
        denied, granted, passed = map(self.successResultOf, answers)
        self.assertIsInstance(denied, Denied)
        self.assertIsInstance(granted, Granted)
        self.assertEqual(passed, Passed())

    def test_no_room(self) -> None:
        """Where there is none the server isn't asked."""
        self.audience.most = 0
        [answer] = self.ask("a")
        self.assertEqual(self.successResultOf(answer), Passed())
        self.is_asked()

    def test_one_after_the_other(self) -> None:
        """A second batch waits for the first: only then it is known how much room there is."""
        self.audience.most = 1
        self.ask("a")[0].addErrback(lambda _: None)
        [second] = self.ask("b")
        self.session.answer(rows("a"))
        self.audience.most = 0
        self.session.answer([("a", 7, 999.0)])
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(second), Passed())

    def holders_at(self, *rounds: float) -> list[bool]:
        """Try so many seconds after one another; say each time whether the holder was asked for."""
        asked = []
        for seconds in rounds:
            self.clock.advance(seconds)
            self.ask("a")[0].addErrback(lambda _: None)
            self.session.answer([])
            asked.append(bool(self.session.asked))
            if asked[-1]:
                self.session.answer([("a", "there", 2, 998.0, 6, 0)])
        return asked

    def test_holders_now_and_then(self) -> None:
        """Who holds a lock is asked about once a minute: that costs the server more than a try."""
        asked = self.holders_at(*[1.8] * 70)
        self.assertTrue(asked[0])
        self.assertIn(sum(asked), (3, 4))

    def test_holder_changed(self) -> None:
        """Once the holder has given it back another one is asked for, but not all the time."""
        self.holders_at(0.0)
        for expected in ([False, True], [False, True]):
            self.locks.outdated("a")
            self.assertEqual(self.holders_at(9.9, 0.2), expected)

    def test_unknown_meanwhile(self) -> None:
        """A holder of old isn't shown when it has given the lock back."""
        self.holders_at(0.0)
        self.locks.outdated("a")
        [answer] = self.ask("a")
        self.session.answer([])
        self.assertEqual(self.successResultOf(answer), Denied(None))

    def test_holders_refused(self) -> None:
        """Where holders can't be asked for, locks work all the same; the log says why."""
        [answer] = self.ask("a")
        self.session.answer([])
        self.session.answer(Refused("out of memory", "53200"))
        self.assertEqual(self.successResultOf(answer), Denied(None))
        self.assertEqual(
            self.logged_texts(), ["holders of locks can't be asked for: out of memory"]
        )

    def test_no_table(self) -> None:
        """Without the table there are no numbers, and holders are known by their addresses."""
        granted, denied = self.ask("a", "b")
        self.session.answer(rows("a"))
        self.session.answer(Refused('relation "x" does not exist', ABSENT))
        self.session.answer(Refused('relation "x" does not exist', ABSENT))
        self.is_asked("client_addr")
        self.session.answer([("b", "10.0.0.1", None, None, None, 0)])
        answer = self.successResultOf(granted)
        assert isinstance(answer, Granted)
        self.assertIsNone(answer.lease.number)
        self.assertEqual(self.successResultOf(denied), Denied(Holder("10.0.0.1", standbys=0)))
        [text] = self.logged_texts()
        self.assertIn("txdoorbell sql --fleet --apply", text)

    def test_lease_refused_for_now(self) -> None:
        """A lock for which there can be no lease just now is freed again, and said to be free."""
        [answer] = self.ask("a")
        self.session.answer(rows("a"))
        self.session.answer(Refused("lock timeout", "55P03"))
        self.is_asked("pg_advisory_unlock")
        self.session.answer([])
        self.failureResultOf(answer, LockFailed)
        self.assertFalse(self.locks.holds("a"))

    def test_refused(self) -> None:
        """A question that the server refuses is a failed try; the session lives on."""
        [answer] = self.ask("a")
        self.session.answer(Refused("out of shared memory", "53200"))
        failure = self.failureResultOf(answer, LockFailed)
        self.assertEqual(str(failure.value), "out of shared memory")

    def test_session_ends(self) -> None:
        """Whoever waits for an answer is told when the session ends, asked already or not."""
        [asked] = self.ask("a")
        unasked = self.locks.try_for("b")
        self.session.end("gone")
        for answer in (asked, unasked):
            self.failureResultOf(answer, SessionEnded)

    def test_give_back(self) -> None:
        """A lock is freed and said to be free in one statement; one that isn't held is neither."""
        self.hold()
        given = self.locks.give_back("billing")
        self.successResultOf(self.locks.give_back("another"))
        self.clock.advance(0)
        self.is_asked("pg_notify")
        self.session.answer([])
        self.successResultOf(given)
        self.assertFalse(self.locks.holds("billing"))

    def test_give_back_untried(self) -> None:
        """A lock that is given back while it is tried for is freed after the try."""
        self.ask("a")[0].addErrback(lambda _: None)
        self.locks.give_back("a").addErrback(lambda _: None)
        self.clock.advance(0)
        self.is_asked("pg_try_advisory_lock", "pg_advisory_unlock")

    def test_give_back_before(self) -> None:
        """A lock that is given back before the server was asked for it is never taken."""
        self.ask("a")[0].addErrback(lambda _: None)
        [answer] = self.ask("b")
        self.successResultOf(self.locks.give_back("b"))
        self.assertEqual(self.successResultOf(answer), Passed())
        self.session.answer([])
        self.session.answer([])
        self.clock.advance(0)
        self.is_asked()


class StandbyTests(SessionLocksTestCase):
    """How sessions show that they stand by, and count each other."""

    def test_shown_once(self) -> None:
        """What is wanted is shown once for each lock; what isn't any more is shown no more."""
        self.locks.stand_for(["a"])
        self.session.answer([(1,)])
        self.locks.stand_for(["a", "b"])
        [(_, values, _)] = self.session.asked
        self.assertEqual(values, ([lock_key("b")[1]],))
        self.session.answer([(1,)])
        self.locks.stand_for(["a", "b"])
        self.is_asked()
        self.locks.stand_for([])
        self.is_asked("pg_advisory_unlock_shared")
        self.session.answer([])

    def test_many(self) -> None:
        """Who wants more than a few doesn't show it, and can't count the others."""
        self.locks.stand_for([f"lock {number}" for number in range(17)])
        self.is_asked()
        self.assertIsNone(self.locks.standbys("lock 1"))

    def test_refused(self) -> None:
        """Where the server can't show it, locks work all the same; the log says why."""
        self.locks.stand_for(["a"])
        self.session.answer(Refused("out of shared memory", "53200"))
        [text] = self.logged_texts()
        self.assertEqual(text, "others can't see what stands by here: out of shared memory")

    def test_session_ends(self) -> None:
        """A session that ends over it is nothing to be told of."""
        self.locks.stand_for(["a"])
        self.session.end("gone")
        self.assertEqual(self.logged_texts(), [])

    def test_counted_by_the_holder(self) -> None:
        """The holder asks with its heartbeat, about once a minute."""
        self.hold()
        self.assertIsNone(self.locks.standbys("billing"))
        asked = 0
        for _ in range(60):
            self.clock.advance(2.0)
            self.locks.beat(5.0)
            self.session.answer([("kept",)])
            if self.session.asked:
                asked += 1
                self.session.answer([("billing", "here", 1, 999.0, 1, 2)])
        self.assertIn(asked, (2, 3))
        self.assertEqual(self.locks.standbys("billing"), 2)


class LeaseTests(SessionLocksTestCase):
    """For how long a lock is held for certain."""

    def test_runs_out(self) -> None:
        """Five seconds after the last question that was answered the session is ended."""
        self.hold()
        self.clock.advance(4.9)
        self.assertTrue(self.locks.holds("billing"))
        self.assertEqual(self.lost, [])
        self.clock.advance(0.11)
        [reason] = self.lost
        self.assertIn("the lease on its locks has run out", reason)
        self.assertIn("for 5 s", reason)
        self.assertFalse(self.locks.holds("billing"))

    def test_prolonged(self) -> None:
        """An answer prolongs it from when the question was asked, not from when it came."""
        self.hold()
        self.clock.advance(2.0)
        self.locks.beat(5.0).addErrback(lambda _: None)
        self.clock.advance(2.0)
        self.session.answer([("kept",)])
        self.clock.advance(2.9)
        self.assertEqual(self.lost, [])
        self.clock.advance(0.11)
        self.assertEqual(len(self.lost), 1)

    def test_unanswered(self) -> None:
        """A question that isn't answered prolongs nothing."""
        self.hold()
        self.clock.advance(2.0)
        self.locks.beat(60.0).addErrback(lambda _: None)
        self.clock.advance(3.01)
        self.assertEqual(len(self.lost), 1)

    def test_asked_too_late(self) -> None:
        """A process that wakes up is told at once, by the first who asks, before any timer."""
        self.hold()
        self.clock.rightNow += 100.0
        self.assertFalse(self.locks.holds("billing"))
        self.assertEqual(len(self.lost), 1)

    def test_suspended(self) -> None:
        """A machine that was suspended knows it, though its reactor's clock stood still."""
        self.hold()
        self.clock.advance(2.0)
        self.slept = 3600.0
        self.assertFalse(self.locks.holds("billing"))
        self.assertEqual(len(self.lost), 1)

    def test_looked_at(self) -> None:
        """When the wall clock has leapt, what is active is ended at once, before any timer."""
        world = World(1, None)
        [host] = world.hosts
        host.start()
        world.advance(5.0)
        self.assertEqual(set(host.active), set(LOCKS))
        host.leadership.look()
        self.assertIsNotNone(host.session)
        host.clock.rightNow += 3600.0
        host.leadership.look()
        self.assertIsNone(host.session)

    def test_nothing_held(self) -> None:
        """A session on which nothing is held may be silent for as long as it likes."""
        self.hold()
        self.locks.give_back("billing")
        self.clock.advance(0)
        self.session.answer([])
        self.clock.advance(100.0)
        self.assertEqual(self.lost, [])

    def test_discarded(self) -> None:
        """The heartbeat sees that everything was discarded; what is lost is told."""
        self.hold()
        self.hold("reports")
        self.locks.beat(5.0).addErrback(lambda _: None)
        self.session.answer([(None,)])
        self.is_asked("pg_backend_pid")
        self.session.answer([("reports",)])
        self.clock.advance(0)
        self.assertEqual(self.audience.told, [("undone", "reports")])
        self.assertFalse(self.locks.holds("reports"))
        self.assertTrue(self.locks.holds("billing"))


class PrepareTests(SessionLocksTestCase):
    """What the server is asked to do for a session with locks."""

    def prepare(self, *outcomes: frozenset[str] | Exception) -> None:
        """Prepare it; each time that settings are applied comes to one of these."""

        class Connector:
            """Does as told."""

            left = list(outcomes)

            async def apply(self, session: object, settings: object) -> frozenset[str]:
                """Return what comes next, or raise it."""
                outcome = self.left.pop(0)
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome

        connector: Any = Connector()
        prepared = Deferred.fromCoroutine(self.locks.prepare(connector))
        while self.session.asked:
            self.session.answer([("kept",)])
        self.successResultOf(prepared)

    def test_settings(self) -> None:
        """The server's switch is the first to act, and acts after the lease has run out."""
        timing = LockTiming(2.0)
        self.assertEqual(timing.settings()["idle_session_timeout"], "6000")
        self.assertLess(timing.lease, timing.timeout)

    def test_old_server(self) -> None:
        """A server without the switch is named, once."""
        for _ in range(2):
            self.prepare(frozenset(), frozenset())
        [text] = self.logged_texts()
        self.assertIn("PostgreSQL 14", text)

    def test_no_look_at_clients(self) -> None:
        """A server that can't look for its client while it is busy will do; the log says so."""
        self.prepare(frozenset({"idle_session_timeout"}), Refused("not on this platform", "0A000"))
        [text] = self.logged_texts()
        self.assertEqual(text, "a busy server won't notice a lost client: not on this platform")
        self.assertIsNone(self.locks.refusal)

    def test_unsafe(self) -> None:
        """Where the switch can't be set no lock is held; the session goes on hearing."""
        self.prepare(Refused("permission denied to set parameter", "42501"))
        self.assertIn("permission denied to set parameter", self.locks.refusal or "")
        self.assertEqual(self.lost, [])


class HeartbeatTests(SessionLocksTestCase):
    """The heartbeat of a session with locks counts from question to question."""

    def setUp(self) -> None:
        """Have a heartbeat that would be held, and insists."""
        super().setUp()
        session: Any = self.session
        self.heartbeat = Heartbeat(self.clock, session, 10.0, 5.0, lambda: True)
        self.heartbeat.start()
        self.heartbeat.insist(2.0, self.locks.beat)
        self.addCleanup(self.heartbeat.stop)

    def test_whatever_is_read(self) -> None:
        """It is asked in time, whatever is read meanwhile, and though a probe is under way."""
        for _ in range(3):
            for _ in range(4):
                self.clock.advance(0.5)
                self.session.last_read = self.clock.seconds()
            self.is_asked("current_setting")
            self.session.answer([("kept",)])

    def test_other_questions(self) -> None:
        """A question of somebody else's will do as well."""
        self.clock.advance(1.5)
        self.ask("a")[0].addErrback(lambda _: None)
        self.clock.advance(1.9)
        self.is_asked("pg_try_advisory_lock")
        self.clock.advance(0.1)
        self.is_asked("pg_try_advisory_lock", "current_setting")

    def test_no_second_chain(self) -> None:
        """Insisting while a question is under way makes no second one."""
        self.clock.advance(2.0)
        self.heartbeat.insist(2.0, self.locks.beat)
        self.session.answer([("kept",)])
        self.clock.advance(2.0)
        self.is_asked("current_setting")
