"""One listening session on a Clock: what it asks of the server, and what it tells."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fake_sessions import FakeConnector, FakeSession
from tests.logs import LogMixin
from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.connector import Timing
from txdoorbell.listening.hearing import HearingSession
from txdoorbell.listening.lockdesk import LockDesk
from txdoorbell.listening.queuewatch import QueueWatch
from txdoorbell.listening.session import DatabaseError
from txdoorbell.notification import Hearable, Notification


class HearingTestCase(SynchronousTestCase):
    """Sessions whose report is this test case."""

    def setUp(self) -> None:
        """Have somebody who makes connections."""
        self.clock = Clock()
        self.connector: Any = FakeConnector(self.clock)
        self.timing = Timing()
        self.desk = LockDesk(Announcer(self.clock))
        self.told: list[tuple[object, ...]] = []
        self.notified: list[Hearable] = []

    def start(self, *channels: str) -> HearingSession:
        """Return a session that is started; closed, it leaves nothing."""
        hearing = HearingSession(
            self.clock,
            self.connector,
            self.timing,
            float,
            Announcer(self.clock),
            QueueWatch(5.0),
            self.notified.append,
            frozenset(channels),
            self,
            self.desk,
            "here",
        )
        self.addCleanup(self.finish, hearing)
        hearing.start()
        return hearing

    def established_session(self, *channels: str) -> HearingSession:
        """Return a session that has committed LISTEN."""
        hearing = self.start(*channels)
        self.establish()
        self.told.clear()
        return hearing

    def finish(self, hearing: HearingSession) -> None:
        """Close, and look for what is left."""
        hearing.close()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.connector.open_sessions(), [])

    @property
    def session(self) -> FakeSession:
        """The connection below."""
        first: FakeSession = self.connector.sessions[0]
        return first

    def establish(self) -> None:
        """Let it connect, and commit LISTEN."""
        self.session.connected.callback(None)
        self.session.answer()
        self.session.answer()

    def arrive(self, *notifications: Notification) -> None:
        """Let these arrive."""
        for notification in notifications:
            self.session.inbox.append(notification)
        self.session.checkForNotifies()

    def private_channel(self) -> str:
        """Return the channel of the probes, by what the last probe sends."""
        probe = self.connector.sessions[-1]
        probe.connected.callback(None)
        return str(probe.asked[0][1][0])

    def probe(self) -> Notification:
        """Let the last probe be sent; return its ring."""
        private = self.private_channel()
        probe = self.connector.sessions[-1]
        token = str(probe.asked[0][1][1])
        probe.answer([("", 0.25)])
        return Notification(private, token)

    def established(self, session: object, text: str) -> None:
        """Be told."""
        self.told.append(("established", text))

    def changed(self, channels: frozenset[str]) -> None:
        """Be told."""
        self.told.append(("changed", channels))

    def restored(self, channels: frozenset[str]) -> None:
        """Be told."""
        self.told.append(("restored", channels))

    def heard(self, session: object, text: str) -> None:
        """Be told."""
        self.told.append(("heard", text))

    def silent(self, session: object, text: str) -> None:
        """Be told."""
        self.told.append(("silent", text))

    def unsent(self, session: object, text: str) -> None:
        """Be told."""
        self.told.append(("unsent", text))

    def lost(self, session: object, text: str) -> None:
        """Be told."""
        self.told.append(("lost", text))


class EstablishTests(HearingTestCase):
    """From nothing to listening."""

    def test_established(self) -> None:
        """It connects, is set up, and commits LISTEN for all in one go; then it says so."""
        hearing = self.start("mail", "jobs")
        self.assertEqual((self.session.questions(), hearing.committed), ([], None))
        self.session.connected.callback(None)
        self.assertEqual(self.session.questions(), ["set up"])
        self.session.answer()
        [sql] = self.session.questions()
        self.assertRegex(sql, r'^listen "jobs"; listen "mail"; listen "txdoorbell_[0-9a-f]{16}"$')
        self.assertEqual(self.told, [])
        self.session.answer()
        text = "LISTEN committed by db:5432, backend 4711"
        self.assertEqual(self.told, [("established", text)])
        self.assertEqual(hearing.committed, {"jobs", "mail"})

    def test_probed_at_once(self) -> None:
        """The first probe begins with LISTEN, and not before."""
        self.start("jobs")
        self.assertEqual(len(self.connector.sessions), 1)
        self.establish()
        self.assertEqual(len(self.connector.sessions), 2)

    def test_names(self) -> None:
        """A name stays a name, whatever is in it."""
        self.start('x"; drop table jobs; --', "%s")
        self.session.connected.callback(None)
        self.session.answer()
        self.assertIn(
            'listen "%s"; listen "txdoorbell_', self.session.questions()[0].replace("\n", "")
        )
        self.assertIn('listen "x""; drop table jobs; --"', self.session.questions()[0])

    def test_not_connected(self) -> None:
        """A connection that doesn't come about is lost."""
        self.start("jobs")
        self.clock.advance(10.0)
        self.assertEqual(self.told, [("lost", "not connected within 10 s")])

    def test_listen_refused(self) -> None:
        """A LISTEN that is refused is a connection that has failed."""
        self.start("jobs")
        self.session.connected.callback(None)
        self.session.answer()
        self.session.answer(DatabaseError("cannot execute LISTEN during recovery"))
        self.assertEqual(self.told, [("lost", "cannot execute LISTEN during recovery")])

    def test_not_encodable(self) -> None:
        """So is one that the database's encoding can't hold."""
        self.start("中")
        self.session.connected.callback(None)
        self.session.answer()
        self.session.answer(UnicodeEncodeError("latin-1", "中", 0, 1, "not in range"))
        self.assertEqual([what for what, _ in self.told], ["lost"])

    def test_our_mistake(self) -> None:
        """An error that nobody foresaw is logged, and the connection has failed."""
        self.start("jobs")
        self.session.connected.callback(None)
        self.session.answer()
        self.session.answer(ZeroDivisionError("by nobody"))
        self.assertEqual(self.told, [("lost", "by nobody")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_closed_meanwhile(self) -> None:
        """Closed at any moment, it tells nothing more."""
        for moment in range(4):
            self.connector.sessions.clear()
            hearing = self.start("jobs")
            if moment > 0:
                self.session.connected.callback(None)
            for _ in range(moment - 1):
                self.session.answer()
            self.told.clear()
            self.finish(hearing)
            self.assertEqual(self.told, [])


class ChannelTests(HearingTestCase):
    """What is wanted changes."""

    def test_one_batch(self) -> None:
        """LISTEN and UNLISTEN go out together, and are told when they are committed."""
        hearing = self.established_session("jobs", "mail")
        hearing.update(frozenset({"jobs", "news"}))
        self.assertEqual(self.session.questions(), ['listen "news"; unlisten "mail"'])
        self.assertEqual(self.told, [])
        self.session.answer()
        self.assertEqual(self.told, [("changed", {"news"})])
        self.assertEqual(hearing.committed, {"jobs", "news"})

    def test_coalesced(self) -> None:
        """What changes while a batch is under way makes one more, of what is wanted at last."""
        hearing = self.established_session("jobs")
        for name in ("a", "b", "c"):
            hearing.update(frozenset({"jobs", name}))
        self.assertEqual(self.session.questions(), ['listen "a"'])
        self.session.answer()
        self.assertEqual(self.session.questions(), ['listen "c"; unlisten "a"'])
        self.session.answer()
        self.assertEqual(self.told, [("changed", {"a"}), ("changed", {"c"})])

    def test_back_again(self) -> None:
        """What is wanted again before it was sent needs nothing."""
        hearing = self.established_session("jobs")
        hearing.update(frozenset({"jobs"}))
        self.assertEqual(self.session.questions(), [])

    def test_unlisten_only(self) -> None:
        """An UNLISTEN is told too, with nothing to catch up."""
        hearing = self.established_session("jobs")
        hearing.update(frozenset())
        self.session.answer()
        self.assertEqual(self.told, [("changed", frozenset())])

    def test_while_connecting(self) -> None:
        """What changes before LISTEN is part of it; what changes during it follows."""
        hearing = self.start("jobs")
        hearing.update(frozenset({"mail"}))
        self.session.connected.callback(None)
        self.session.answer()
        self.assertIn('listen "mail"; listen "txdoor', self.session.questions()[0])
        hearing.update(frozenset({"news"}))
        self.session.answer()
        self.assertEqual(self.session.questions(), ['listen "news"; unlisten "mail"'])
        self.assertEqual([what for what, *_ in self.told], ["established"])

    def test_refused(self) -> None:
        """A change that is refused, or not answered, has lost the session."""
        hearing = self.established_session("jobs")
        hearing.update(frozenset({"mail"}))
        self.session.answer(DatabaseError("no"))
        self.assertEqual(self.told, [("lost", "no")])


class HeardTests(HearingTestCase):
    """Notifications and probes."""

    def test_notified(self) -> None:
        """Notifications are passed on as they are, those of the probes aside."""
        self.established_session("jobs")
        private = self.private_channel()
        rings = Notification("jobs", "1"), Notification(private, "x"), Notification("jobs", "2")
        self.arrive(*rings)
        self.assertEqual(self.notified, [rings[0], rings[2]])

    def test_probe_heard(self) -> None:
        """A probe that is heard is told, with what it found."""
        hearing = self.established_session("jobs")
        self.assertEqual((hearing.latency, hearing.queue_usage), (None, None))
        self.arrive(self.probe())
        self.assertEqual(self.told, [("heard", "a probe was heard")])
        self.assertEqual((hearing.latency, hearing.queue_usage), (0.0, 0.25))

    def test_probe_not_heard(self) -> None:
        """A probe that isn't heard is told with the likely cause."""
        self.established_session("jobs")
        self.probe()
        self.clock.advance(5.0)
        [(what, text)] = self.told
        self.assertEqual(what, "silent")
        self.assertIn("LISTEN was undone, or new connections reach another server", str(text))

    def test_pooler(self) -> None:
        """Where another backend answers than was announced, a pooler is the likely cause."""
        self.connector.pooled = True
        self.established_session("jobs")
        self.probe()
        self.clock.advance(5.0)
        self.assertIn("a pooler in transaction mode?", str(self.told[0][1]))

    def test_probe_not_sent(self) -> None:
        """A probe that could not be sent leaves the session as it is."""
        self.established_session("jobs")
        self.connector.sessions[1].end("refused")
        self.assertEqual(self.told, [("unsent", "a probe could not be sent: refused")])
        self.assertTrue(self.session.is_open)

    def test_no_heartbeat_while_a_ring_is_awaited(self) -> None:
        """A pooler might bring the ring along with the answer: so nothing is asked then."""
        self.established_session("jobs")
        self.clock.advance(4.0)
        self.probe()
        self.clock.advance(4.0)
        self.session.last_read = -60.0
        self.assertEqual(self.session.questions(), [])

    def test_lost(self) -> None:
        """A loss is told once, and ends probes and heartbeats."""
        self.established_session("jobs")
        self.session.end("gone")
        self.assertEqual(self.told, [("lost", "gone")])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RollCallTests(LogMixin, HearingTestCase):
    """Before each probe the session is asked what it listens to; the heartbeat is off."""

    ASKED = ["select pg_catalog.pg_listening_channels()"]

    def setUp(self) -> None:
        """Have the heartbeat off."""
        super().setUp()
        self.timing = Timing(heartbeat=0, heartbeat_timeout=2.0)
        self.capture_logs()

    def until_the_second_probe(self, *channels: str) -> HearingSession:
        """Return a session whose second probe is due; see ``private`` for its channel."""
        hearing = self.established_session(*channels)
        self.assertEqual(self.session.questions(), [])
        ring = self.probe()
        self.private = ring.channel
        self.arrive(ring)
        self.clock.advance(60.0)
        self.told.clear()
        return hearing

    def rung(self) -> list[str]:
        """Return what the last probe has asked its server to do, given a connection."""
        probe = self.connector.sessions[-1]
        if not probe.connected.called:
            probe.connected.callback(None)
        return [sql for sql in probe.questions() if "pg_notify" in sql]

    def test_all_there(self) -> None:
        """One question, and the ring goes out when it is answered. The first probe needs none."""
        self.until_the_second_probe("jobs", "mail")
        self.assertEqual(self.session.questions(), self.ASKED)
        self.assertEqual(self.rung(), [])
        self.session.answer([("mail",), (self.private,), ("jobs",), ("a stranger's",)])
        self.assertEqual((len(self.rung()), self.session.questions(), self.told), (1, [], []))

    def test_undone(self) -> None:
        """What is missing is listened to again; that is told once it is committed."""
        hearing = self.until_the_second_probe("jobs", "mail")
        self.session.answer([("mail",)])
        self.assertEqual(self.session.questions(), [f'listen "jobs"; listen "{self.private}"'])
        self.assertEqual((self.rung(), self.told), ([], []))
        self.session.answer()
        self.assertEqual(self.told, [("restored", {"jobs"})])
        self.assertEqual(hearing.committed, {"jobs", "mail"})

    def test_settings_too(self) -> None:
        """What undid LISTEN may have undone the session's settings: they are made again."""
        self.until_the_second_probe("jobs")
        self.session.answer([])
        self.session.answer()
        self.assertEqual(self.session.questions(), ["set up"])
        self.assertEqual(self.rung(), [])
        self.session.answer()
        self.assertEqual(len(self.rung()), 1)

    def test_private_alone(self) -> None:
        """Without the private channel a probe would fail for nothing; no ring was missed."""
        self.until_the_second_probe("jobs")
        self.session.answer([("jobs",)])
        self.session.answer()
        self.assertEqual(self.told, [("restored", frozenset())])

    def test_wanted_no_more(self) -> None:
        """What is wanted no more by the time of the answer is not listened to again."""
        hearing = self.until_the_second_probe("jobs", "mail")
        hearing.update(frozenset({"mail"}))
        self.session.answer([("mail",), (self.private,)])
        self.assertEqual(self.session.questions(), ['unlisten "jobs"'])
        self.assertEqual(self.told, [])

    def test_wanted_just_now(self) -> None:
        """What is wanted since then, and not committed yet, isn't missing."""
        hearing = self.until_the_second_probe("jobs")
        hearing.update(frozenset({"jobs", "news"}))
        self.session.answer([("jobs",), (self.private,)])
        self.assertEqual(self.session.questions(), ['listen "news"'])
        self.session.answer()
        self.assertEqual(self.told, [("changed", {"news"})])

    def test_refused(self) -> None:
        """A server that won't say is no reason to give up the session: the ring goes out."""
        self.until_the_second_probe("jobs")
        self.session.answer(DatabaseError("permission denied for function"))
        self.assertEqual((len(self.rung()), self.told), (1, []))
        [text] = self.logged_texts()
        self.assertIn("permission denied for function", text)

    def test_listen_refused(self) -> None:
        """A LISTEN that is refused has lost the session."""
        self.until_the_second_probe("jobs")
        self.session.answer([])
        self.session.answer(DatabaseError("no"))
        self.assertEqual(self.told, [("lost", "no")])

    def test_not_answered(self) -> None:
        """So has a question that isn't answered in a heartbeat's time."""
        self.until_the_second_probe("jobs")
        self.clock.advance(2.0)
        self.assertEqual(self.told, [("lost", "no answer to a query within 2 s")])

    def test_closed(self) -> None:
        """Closed meanwhile, it does nothing more."""
        hearing = self.until_the_second_probe("jobs")
        self.finish(hearing)
        self.assertEqual(self.told, [])


class IdleTests(HearingTestCase):
    """What is asked of a session while nothing happens."""

    def test_six_times_a_minute(self) -> None:
        """In ten minutes: a heartbeat after each ten seconds of silence, which a probe breaks."""
        self.established_session("jobs")
        asked: list[str] = []
        for _ in range(6000):
            self.answer_all(asked)
            self.clock.advance(0.1)
        self.assertEqual(asked.count(RollCallTests.ASKED[0]), 9)
        self.assertEqual(len(self.connector.sessions), 1 + 10)
        self.assertTrue(58 <= asked.count("select 1") + 9 <= 60, asked.count("select 1"))
        self.assertEqual(set(asked), {"select 1", *RollCallTests.ASKED})

    def answer_all(self, asked: list[str]) -> None:
        """Answer as a server would, and note what the listening session was asked."""
        listening, *probes = self.connector.sessions
        for sql in listening.questions():
            asked.append(sql)
            listening.last_read = self.clock.seconds()
            everything = [("jobs",), (self.private,)] if sql in RollCallTests.ASKED else [(1,)]
            listening.answer(everything)
        if probes and not probes[-1].connected.called and not listening.questions():
            ring = self.probe()
            self.private = ring.channel
            listening.last_read = self.clock.seconds()
            self.arrive(ring)

    private = ""
