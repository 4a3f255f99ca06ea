"""One listening session on a Clock: what it asks of the server, and what it tells."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fake_sessions import FakeConnector, FakeSession
from txdoorbell.announcer import Announcer
from txdoorbell.connector import Timing
from txdoorbell.hearing import HearingSession
from txdoorbell.notification import Hearable, Notification
from txdoorbell.session import DatabaseError


class HearingTestCase(SynchronousTestCase):
    """Sessions whose report is this test case."""

    def setUp(self) -> None:
        """Have somebody who makes connections."""
        self.clock = Clock()
        self.connector: Any = FakeConnector(self.clock)
        self.told: list[tuple[object, ...]] = []
        self.notified: list[Hearable] = []

    def start(self, *channels: str) -> HearingSession:
        """Return a session that is started; closed, it leaves nothing."""
        hearing = HearingSession(
            self.clock,
            self.connector,
            Timing(),
            float,
            Announcer(self.clock),
            self.notified.append,
            frozenset(channels),
            self,
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
        """Return the channel of the probes, by what the probe sends."""
        probe = self.connector.sessions[1]
        probe.connected.callback(None)
        return str(probe.asked[0][1][0])

    def established(self, session: object, text: str) -> None:
        """Be told."""
        self.told.append(("established", text))

    def changed(self, channels: frozenset[str]) -> None:
        """Be told."""
        self.told.append(("changed", channels))

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

    def probe(self) -> Notification:
        """Let the first probe be sent; return its ring."""
        private = self.private_channel()
        probe = self.connector.sessions[1]
        token = str(probe.asked[0][1][1])
        probe.answer([("", 0.25)])
        return Notification(private, token)

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
