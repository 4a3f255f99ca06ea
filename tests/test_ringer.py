"""The sender's connection on a Clock: what goes out together, and who is told of what."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fake_sessions import FakeConnector, FakeSession
from txdoorbell.listening.ringer import Ringer
from txdoorbell.listening.session import DatabaseError, SessionEnded
from txdoorbell.notification import ListenerStopped


class RingerTests(SynchronousTestCase):
    """A ringer; closed, it leaves nothing."""

    connector: Any

    def setUp(self) -> None:
        """Have it."""
        self.clock = Clock()
        self.connector = FakeConnector(self.clock)
        self.ringer = Ringer(self.clock, self.connector, timeout=3.0, linger=5.0)
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """Close, and look for what is left."""
        self.ringer.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.connector.open_sessions(), [])

    @property
    def session(self) -> FakeSession:
        """The last connection."""
        last: FakeSession = self.connector.sessions[-1]
        return last

    def sending(self) -> list[tuple[str, str]]:
        """Return the rings of the statement that is to be answered."""
        [(_, (channels, payloads), _)] = self.session.asked
        return list(zip(channels, payloads, strict=True))

    def ring(self, *payloads: str) -> list[Deferred[None]]:
        """Ring these on one channel."""
        return [self.ringer.notify("jobs", payload) for payload in payloads]

    def connect(self) -> None:
        """Let it connect."""
        self.session.connected.callback(None)

    def test_on_demand(self) -> None:
        """It connects when there is something to send, and says when that is committed."""
        self.assertEqual(self.connector.sessions, [])
        [rung] = self.ring("1")
        self.connect()
        self.assertEqual(self.sending(), [("jobs", "1")])
        self.assertNoResult(rung)
        self.session.answer([("",)])
        self.assertIsNone(self.successResultOf(rung))

    def test_together(self) -> None:
        """What gathers while a statement is under way goes out as one, in order."""
        self.ring("0")
        self.connect()
        rung = [self.ringer.notify(channel, "x") for channel in ("b", "a", "c")]
        self.assertEqual(self.sending(), [("jobs", "0")])
        self.session.answer([])
        self.assertEqual(self.sending(), [("b", "x"), ("a", "x"), ("c", "x")])
        self.session.answer([])
        for one in rung:
            self.successResultOf(one)

    def test_repetitions(self) -> None:
        """Equal rings are separate statements: in one, the server would merge them."""
        self.ring("1", "2", "1", "3")
        self.connect()
        sent = []
        for _ in range(2):
            sent.append([payload for _, payload in self.sending()])
            self.session.answer([])
        self.assertEqual(sent, [["1", "2"], ["1", "3"]])

    def test_many(self) -> None:
        """A statement has a limit to its size."""
        self.ring(*map(str, range(1200)))
        self.connect()
        sizes = []
        for _ in range(3):
            sizes.append(len(self.sending()))
            self.session.answer([])
        self.assertEqual(sizes, [500, 500, 200])

    def test_lingers(self) -> None:
        """The connection is kept for a few seconds, and then closed."""
        for _ in range(2):
            self.ring("1")
            if not self.session.connected.called:
                self.connect()
            self.session.answer([])
            self.clock.advance(4.9)
        self.assertEqual(len(self.connector.sessions), 1)
        self.clock.advance(0.1)
        self.assertEqual(self.connector.open_sessions(), [])
        self.again()

    def test_lost_while_kept(self) -> None:
        """A connection that is lost while nothing is sent is nobody's concern."""
        self.ring("1")
        self.connect()
        self.session.answer([])
        self.session.end("gone")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.again()

    def again(self) -> None:
        """Ring on a new connection."""
        before = len(self.connector.sessions)
        [rung] = self.ring("again")
        self.assertEqual(len(self.connector.sessions), before + 1)
        self.connect()
        self.session.answer([])
        self.successResultOf(rung)

    def test_no_connection(self) -> None:
        """Without a connection, everything that waits for it fails at once; later ones try anew."""
        rung = self.ring("1", "1", "2")
        self.session.end("refused")
        for one in rung:
            error = self.failureResultOf(one, SessionEnded).value
            self.assertEqual(str(error), "refused")
        [later] = self.ring("3")
        self.connect()
        self.session.answer([])
        self.successResultOf(later)

    def test_no_answer(self) -> None:
        """Without an answer in time what was sent fails; what came after it goes out anew."""
        [lost] = self.ring("1")
        self.connect()
        [later] = self.ring("2")
        self.clock.advance(3.0)
        self.failureResultOf(lost, SessionEnded)
        self.assertEqual(len(self.connector.sessions), 2)
        self.connect()
        self.session.answer([])
        self.successResultOf(later)

    def test_one_refused(self) -> None:
        """A ring that the server refuses fails alone, whatever it was sent with."""
        rung = self.ring("1", "bad", "2")
        self.connect()
        self.session.answer(DatabaseError("untranslatable"))
        sent = []
        for error in (None, DatabaseError("untranslatable"), None):
            sent.append(self.sending())
            self.session.answer(error)
        self.assertEqual(sent, [[("jobs", "1")], [("jobs", "bad")], [("jobs", "2")]])
        self.successResultOf(rung[0])
        self.failureResultOf(rung[1], DatabaseError)
        self.successResultOf(rung[2])

    def test_refused_here(self) -> None:
        """What PostgreSQL would not take is refused at once."""
        self.assertRaises(ValueError, self.ringer.notify, "")
        self.assertRaises(ValueError, self.ringer.notify, "jobs", "x" * 8000)
        self.assertRaises(TypeError, self.ringer.notify, "jobs", b"x")
        self.assertEqual(self.connector.sessions, [])

    def test_given_up(self) -> None:
        """A caller that cancels is not told; the others are."""
        given_up, other = self.ring("1", "2")
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.connect()
        self.session.answer([])
        self.successResultOf(other)

    def test_closed(self) -> None:
        """Closed at any moment, everything that isn't known to be committed fails."""
        for moment in range(3):
            self.ringer = Ringer(self.clock, self.connector, timeout=3.0)
            first = self.ring("1", "1")
            if moment > 0:
                self.connect()
            if moment > 1:
                self.session.answer([])
                self.successResultOf(first.pop(0))
            self.finish()
            for one in first:
                self.failureResultOf(one, ListenerStopped)

    def test_ring_again(self) -> None:
        """Whoever is told may ring again at once."""
        [rung] = self.ring("1")
        again: list[Deferred[None]] = []
        rung.addCallback(lambda _: again.extend(self.ring("2")))
        self.connect()
        self.session.answer([])
        self.assertEqual(self.sending(), [("jobs", "2")])
        self.session.answer([])
        self.successResultOf(again[0])
