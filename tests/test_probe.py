"""The probe and the heartbeat, on a Clock: when they ask, what they conclude, what they leave."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fake_sessions import FakeConnector, FakeSession
from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.connector import Timing
from txdoorbell.listening.heartbeat import Heartbeat
from txdoorbell.listening.probe import ProbeFailed, Prober
from txdoorbell.listening.session import DatabaseError
from txdoorbell.notification import Notification

TIMING = Timing(query_timeout=3.0, probe_interval=60.0, probe_timeout=5.0)


class FakeWatch:
    """A watch on the queue that is given sessions, and leaves them open until it is stopped."""

    def __init__(self) -> None:
        self.looks: list[tuple[float, Any]] = []

    def look(self, usage: float, session: Any) -> None:
        """Take a session."""
        self.looks.append((usage, session))

    def stop(self) -> None:
        """Close what was given."""
        for _, session in self.looks:
            session.close()


class ProbeTestCase(SynchronousTestCase):
    """A prober of this test case, which stands in the place of a session."""

    def setUp(self) -> None:
        """Have a prober."""
        self.clock = Clock()
        self.connector: Any = FakeConnector(self.clock)
        self.told: list[str] = []
        self.last_read = -60.0
        self.readiness: Deferred[None] = succeed(None)
        self.watch: Any = FakeWatch()
        self.prober = self.make(TIMING)

    def make(self, timing: Timing) -> Prober:
        """Return a prober; stopped, it leaves nothing."""
        announcer = Announcer(self.clock)
        prober = Prober(self.clock, self.connector, timing, float, self, announcer, self.watch)
        self.addCleanup(self.finish, prober)
        return prober

    def finish(self, prober: Prober) -> None:
        """Stop, and look for what is left."""
        prober.stop()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.connector.open_sessions(), [])

    def when_ready(self) -> Deferred[None]:
        """Be asked for it."""
        return self.readiness

    def heard(self) -> None:
        """Be told."""
        self.told.append("heard")

    def silent(self, reason: str) -> None:
        """Be told."""
        self.told.append(f"silent: {reason}")

    def unsent(self, reason: str) -> None:
        """Be told."""
        self.told.append(f"unsent: {reason}")

    @property
    def session(self) -> FakeSession:
        """The session of the last probe."""
        last: FakeSession = self.connector.sessions[-1]
        return last

    def send(self) -> str:
        """Let the ring be sent; return its token."""
        self.session.connected.callback(None)
        _, values, _ = self.session.asked[0]
        channel, token = values
        self.assertEqual(channel, self.prober.channel)
        return str(token)

    def ring(self, token: str) -> None:
        """Let a ring come on the private channel."""
        self.prober.hear(Notification(self.prober.channel, token))

    def succeed(self) -> None:
        """Let a probe go well."""
        token = self.send()
        self.session.answer([("", 0.0)])
        self.ring(token)


class ProberTests(ProbeTestCase):
    """From the first probe to the last."""

    def test_heard(self) -> None:
        """A ring that is heard is told, with its latency and the fullness of the queue."""
        self.prober.start()
        token = self.send()
        self.clock.advance(0.25)
        self.session.answer([("", 0.5)])
        self.assertEqual(self.told, [])
        self.clock.advance(0.5)
        self.ring(token)
        self.assertEqual(self.told, ["heard"])
        self.assertEqual((self.prober.latency, self.prober.queue_usage), (0.75, 0.5))

    def test_connecting_takes_time(self) -> None:
        """The latency is that of the ring, not of the connection that sends it."""
        self.prober.start()
        self.clock.advance(4.0)
        self.succeed()
        self.assertEqual(self.prober.latency, 0.0)

    def test_heard_first(self) -> None:
        """A ring may be heard before its sender is told that it is sent."""
        self.prober.start()
        token = self.send()
        self.clock.advance(0.25)
        self.ring(token)
        self.clock.advance(0.5)
        self.session.answer([("", 0.5)])
        self.assertEqual(self.told, ["heard"])
        self.assertEqual(self.prober.latency, 0.25)

    def test_heard_but_never_answered(self) -> None:
        """A ring that was heard was sent, whatever becomes of its sender."""
        self.prober.start()
        self.ring(self.send())
        self.session.end("lost")
        self.assertEqual(self.told, ["heard"])

    def test_not_heard(self) -> None:
        """A ring that was sent must be heard in time."""
        self.prober.start()
        self.send()
        self.clock.advance(2.0)
        self.session.answer([("", 0.5)])
        self.assertTrue(self.prober.has_session)
        self.clock.advance(4.9)
        self.assertEqual(self.told, [])
        self.clock.advance(0.1)
        self.assertEqual(self.told, ["silent: a ring on its private channel wasn't heard in 5 s"])
        self.assertEqual((self.prober.latency, self.prober.queue_usage), (None, 0.5))
        self.assertFalse(self.prober.has_session)

    def test_busy(self) -> None:
        """While the session reads what came before, it has twice the time."""
        for end in (7.0, 60.0):
            self.prober = self.make(TIMING)
            self.prober.start()
            self.send()
            self.session.answer([("", 0.5)])
            began = self.clock.seconds()
            while not self.told and self.clock.seconds() - began < 20:
                self.clock.advance(0.05)
                if self.clock.seconds() - began < end:
                    self.last_read = self.clock.seconds()
            self.assertTrue(0 <= self.clock.seconds() - began - min(end, 10.0) < 0.3)
            self.told.clear()
            self.finish(self.prober)

    def test_blocked(self) -> None:
        """A reactor that was blocked reads first what has come meanwhile."""
        self.prober.start()
        token = self.send()
        self.session.answer([("", 0.5)])
        self.clock.advance(30.0)
        self.assertEqual(self.told, [])
        self.ring(token)
        self.assertEqual(self.told, ["heard"])

    def test_queue_looked_at(self) -> None:
        """The connection is lent to the watch on the queue, whatever becomes of the ring."""
        self.prober.start()
        token = self.send()
        self.session.answer([("", 0.5)])
        self.assertEqual(self.watch.looks, [(0.5, self.session)])
        self.ring(token)
        self.assertTrue(self.session.is_open)
        self.prober.stop()
        self.assertFalse(self.session.is_open)

    def test_queue_full(self) -> None:
        """When the ring can't be sent, perhaps for a full queue, that is looked at all the same."""
        self.prober.start()
        self.send()
        self.session.answer(DatabaseError("too many notifications in the NOTIFY queue"))
        self.assertEqual(self.told, [])
        self.session.answer([(1.0,)])
        self.assertEqual(self.watch.looks, [(1.0, self.session)])
        self.assertEqual(
            self.told,
            ["unsent: a probe could not be sent: too many notifications in the NOTIFY queue"],
        )
        self.assertTrue(self.session.is_open)
        self.assertEqual(self.prober.queue_usage, 1.0)

    def test_not_connected(self) -> None:
        """A ring that could not be sent in time is no proof of anything, and is told as that."""
        self.prober.start()
        self.clock.advance(5.0)
        self.assertEqual(self.told, ["unsent: a probe could not be sent: not sent within 5 s"])

    def test_refused(self) -> None:
        """So is one whose connection, or whose query, is refused."""
        self.prober.start()
        self.session.end("connection refused")
        self.clock.advance(1.0)
        self.send()
        self.session.answer(DatabaseError("read only"))
        self.session.answer([(0.0,)])
        self.assertEqual(
            self.told,
            [
                "unsent: a probe could not be sent: connection refused",
                "unsent: a probe could not be sent: read only",
            ],
        )

    def test_not_answered(self) -> None:
        """A query that isn't answered in its own time is no different."""
        self.prober.start()
        self.send()
        self.clock.advance(3.0)
        self.assertEqual(
            self.told, ["unsent: a probe could not be sent: no answer to a query within 3 s"]
        )

    def test_interval(self) -> None:
        """The next probe begins a while after the end of the last one, from a new connection."""
        self.prober.start()
        self.succeed()
        self.clock.advance(59.9)
        self.assertEqual(len(self.connector.sessions), 1)
        self.clock.advance(0.1)
        self.assertEqual(len(self.connector.sessions), 2)
        self.succeed()
        self.assertEqual(self.told, ["heard"] * 2)

    def test_ready_first(self) -> None:
        """Nothing is sent before the session is ready; only then the time for sending begins."""
        self.readiness = Deferred()
        self.prober.start()
        self.prober.start()
        self.session.connected.callback(None)
        self.clock.advance(30.0)
        self.assertEqual((self.session.questions(), self.told), ([], []))
        self.assertTrue(self.prober.has_session)
        self.readiness.callback(None)
        self.assertFalse(self.prober.has_session)
        self.clock.advance(2.9)
        self.assertEqual(len(self.session.questions()), 1)
        self.clock.advance(0.1)
        self.assertIn("no answer to a query within 3 s", self.told[0])

    def test_stopped_before_ready(self) -> None:
        """Stopped before the session is ready, it sends nothing, and tells nothing."""
        self.readiness = Deferred()
        waiter = self.prober.probe()
        self.prober.stop()
        self.readiness.callback(None)
        self.clock.advance(0)
        self.failureResultOf(waiter, ProbeFailed)
        self.assertEqual(self.told, [])

    def test_no_interval(self) -> None:
        """With no interval there is one probe."""
        self.prober = self.make(Timing(probe_interval=0))
        self.prober.start()
        self.succeed()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_repeated_until_sent(self) -> None:
        """A probe that could not be sent is repeated, ever later, interval or not."""
        self.prober = self.make(Timing(probe_interval=0))
        self.prober.start()
        for failures in (1, 2, 3):
            self.session.end("refused")
            self.clock.advance(failures - 0.1)
            self.assertEqual(len(self.connector.sessions), failures)
            self.clock.advance(0.1)
            self.assertEqual(len(self.connector.sessions), failures + 1)
        self.succeed()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_other_rings(self) -> None:
        """What else comes on the private channel means nothing: another's, an old one, a repeat."""
        self.ring("early")
        self.prober.start()
        token = self.send()
        self.ring("wrong")
        self.ring(token)
        self.clock.advance(1.0)
        self.ring(token)
        self.assertEqual(self.told, [])
        self.session.answer([("", 0.0)])
        self.ring(token)
        self.assertEqual((self.told, self.prober.latency), (["heard"], 0.0))

    def test_private(self) -> None:
        """Each prober has a channel of its own."""
        self.assertNotEqual(self.prober.channel, self.make(TIMING).channel)

    def test_start_twice(self) -> None:
        """There is one probe at a time."""
        self.prober.start()
        self.prober.start()
        self.assertEqual(len(self.connector.sessions), 1)


class WaiterTests(ProbeTestCase):
    """Those who ask for a probe."""

    def test_latency(self) -> None:
        """Each is told the latency, in a later turn."""
        waiters = [self.prober.probe(), self.prober.probe()]
        self.succeed()
        self.assertNoResult(waiters[0])
        self.clock.advance(0)
        self.assertEqual([self.successResultOf(waiter) for waiter in waiters], [0.0, 0.0])
        self.assertEqual(len(self.connector.sessions), 1)

    def test_now(self) -> None:
        """A probe that is asked for begins at once, and the interval begins anew."""
        self.prober.start()
        self.succeed()
        self.clock.advance(30.0)
        self.prober.probe()
        self.succeed()
        self.clock.advance(59.0)
        self.assertEqual(len(self.connector.sessions), 2)

    def failed(self, waiter: Deferred[float]) -> str:
        """Return the text with which it fails."""
        self.clock.advance(0)
        return str(self.failureResultOf(waiter, ProbeFailed).value)

    def test_failures(self) -> None:
        """It fails when the ring isn't heard, isn't sent, or the session ends."""
        waiter = self.prober.probe()
        self.send()
        self.session.answer([("", 0.0)])
        self.clock.advance(5.0)
        self.assertIn("wasn't heard", self.failed(waiter))
        waiter = self.prober.probe()
        self.session.end("refused")
        self.assertIn("refused", self.failed(waiter))
        waiter = self.prober.probe()
        self.prober.stop()
        self.assertIn("ended", self.failed(waiter))

    def test_given_up(self) -> None:
        """Whoever cancels is not told."""
        waiter = self.prober.probe()
        waiter.cancel()
        waiter.addErrback(lambda _: None)
        self.succeed()
        self.clock.advance(0)
        self.assertEqual(self.told, ["heard"])

    def test_stopped_anywhere(self) -> None:
        """Stopped at any moment, it tells nothing more and leaves nothing."""
        for moment in range(4):
            self.prober = self.make(TIMING)
            self.prober.start()
            if moment > 0:
                token = self.send()
            if moment > 1:
                self.session.answer([("", 0.0)])
            if moment > 2:
                self.ring(token)
            told = list(self.told)
            self.finish(self.prober)
            self.assertEqual(self.told, told)


class HeartbeatTests(SynchronousTestCase):
    """A question after each silence."""

    def setUp(self) -> None:
        """Have a session that is open, and its heartbeat."""
        self.clock = Clock()
        self.lost: list[str] = []
        self.session: Any = FakeSession(self.clock, self.lost.append)
        self.session.connected.callback(None)
        self.held = False
        self.heartbeat = self.make(10.0)

    def make(self, interval: float) -> Heartbeat:
        """Return a heartbeat; stopped, it leaves nothing."""
        heartbeat = Heartbeat(self.clock, self.session, interval, 5.0, lambda: self.held)
        self.addCleanup(self.finish, heartbeat)
        return heartbeat

    def finish(self, heartbeat: Heartbeat) -> None:
        """Stop with the session, and look for what is left."""
        heartbeat.stop()
        self.session.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silence(self) -> None:
        """After each ten seconds of silence the server is asked."""
        self.heartbeat.start()
        for _ in range(3):
            self.clock.advance(9.9)
            self.assertEqual(self.session.questions(), [])
            self.clock.advance(0.1)
            self.assertEqual(self.session.questions(), ["select 1"])
            self.session.answer([(1,)])

    def test_no_silence(self) -> None:
        """While something is read, nothing is asked; the silence counts from then."""
        self.heartbeat.start()
        self.clock.advance(7.0)
        self.session.last_read = self.clock.seconds()
        self.clock.advance(9.9)
        self.assertEqual(self.session.questions(), [])
        self.clock.advance(0.1)
        self.assertEqual(self.session.questions(), ["select 1"])

    def test_no_answer(self) -> None:
        """A server that doesn't answer in time has lost the session."""
        self.heartbeat.start()
        self.clock.advance(10.0)
        self.clock.advance(5.0)
        self.assertEqual(self.lost, ["no answer to a query within 5 s"])

    def test_answer_behind_others(self) -> None:
        """While what the server sent before the answer is still being read, it isn't overdue."""
        self.heartbeat.start()
        self.clock.advance(10.0)
        for _ in range(180):
            self.clock.advance(0.05)
            self.session.last_read = self.clock.seconds()
        self.assertEqual(self.lost, [])
        self.session.answer([(1,)])

    def test_refused(self) -> None:
        """A server that refuses the question has lost it too."""
        self.heartbeat.start()
        self.clock.advance(10.0)
        self.session.answer(DatabaseError("no more of this"))
        self.assertEqual(self.lost, ["heartbeat: no more of this"])

    def test_held(self) -> None:
        """While a ring is awaited nothing is asked; soon afterwards it is."""
        self.heartbeat.start()
        self.held = True
        self.clock.pump([1.0] * 15)
        self.assertEqual(self.session.questions(), [])
        self.held = False
        self.clock.advance(1.0)
        self.assertEqual(self.session.questions(), ["select 1"])

    def test_never(self) -> None:
        """An interval of 0 means no question at all."""
        self.make(0).start()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_with_the_session(self) -> None:
        """An answer to the last question begins nothing anew."""
        self.heartbeat.start()
        self.clock.advance(10.0)
        self.finish(self.heartbeat)
        self.session.answer([(1,)])
        self.assertEqual((self.clock.getDelayedCalls(), self.lost), ([], []))
