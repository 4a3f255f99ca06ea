"""Tests for what users test with: the fake listener, and a clock that advances until quiet."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase

from tests.audience import RecordingAudience
from txdoorbell import WORK_REMAINING, DelegateLoop, Doorbell, Loop
from txdoorbell.notification import ListenerStopped, Notification, State
from txdoorbell.testing import FakeListener, advance_until_quiet, ring


class Base(SynchronousTestCase):
    """A clock, on which nothing may be left at the end."""

    def setUp(self) -> None:
        """Make the clock."""
        self.clock = Clock()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def start(self, service: Any) -> None:
        """Start a service, and stop it at the end."""
        service.startService()
        self.addCleanup(service.stopService)

    def listener(self, *channels: str) -> tuple[FakeListener, RecordingAudience]:
        """Return a started listener that wants these channels, with its audience."""
        listener, audience = FakeListener(self.clock), RecordingAudience()
        listener.report_to(audience)
        listener.set_channels(channels)
        self.start(listener)
        return listener, audience

    def bell(self, *functions: Callable[..., object], **options: Any) -> Doorbell:
        """Return a started doorbell on a fake listener, quiet."""
        bell = Doorbell(self.clock, listener=FakeListener(self.clock), **options)
        for function in functions:
            bell.add(function)
        self.start(bell)
        advance_until_quiet(self.clock, bell)
        return bell


class FakeListenerTests(Base):
    """What only the fake listener has; what it shares with the real one is in source_contract."""

    def test_next_turn(self) -> None:
        """The session is there in the next turn of the clock, not before."""
        listener, audience = self.listener("jobs")
        self.assertEqual((listener.state, listener.listened), (State.CONNECTING, frozenset()))
        self.assertEqual(audience.calls, [])
        self.clock.advance(0)
        self.assertEqual((listener.state, listener.listened), (State.LISTENING, {"jobs"}))
        self.assertEqual(audience.states, [State.CONNECTING, State.LISTENING])

    def test_deliver(self) -> None:
        """What somebody else sends is heard at once, where LISTEN is committed."""
        listener, audience = self.listener("jobs")
        self.clock.advance(0)
        self.assertTrue(listener.deliver("jobs", "7", pid=42))
        self.assertEqual(audience.heard, [("jobs", "7", 42)])

    def test_deliver_lost(self) -> None:
        """What is sent too early, elsewhere, or while the session is gone is lost."""
        listener, audience = self.listener("jobs")
        lost = [listener.deliver("jobs")]
        self.clock.advance(0)
        lost.append(listener.deliver("mail"))
        listener.set_channels(["jobs", "mail"])
        lost.append(listener.deliver("mail"))
        self.clock.advance(0)
        for change in (listener.deafen, listener.lose):
            change()
            lost.append(listener.deliver("jobs"))
        listener.regain()
        lost.append(listener.deliver("jobs"))
        self.clock.advance(0)
        self.assertEqual((lost, audience.heard), ([False] * 6, []))
        self.assertTrue(listener.deliver("mail"))

    def test_lose_and_regain(self) -> None:
        """A lost session stays away until regained; then LISTEN is committed anew for all."""
        listener, audience = self.listener("jobs")
        self.clock.advance(0)
        audience.calls.clear()
        listener.lose("terminated by the administrator")
        self.clock.advance(3600)
        self.assertEqual(audience.calls, [("waiting", "terminated by the administrator")])
        listener.regain()
        self.clock.advance(0)
        self.assertEqual(
            audience.calls[1:],
            [("connecting", ""), ("listening", ""), ("LISTEN", {"jobs"}, True)],
        )

    def test_refuse(self) -> None:
        """A server that refuses connections is waited for; its reason is told."""
        listener, audience = FakeListener(self.clock), RecordingAudience()
        listener.report_to(audience)
        listener.refuse("no pg_hba.conf entry")
        self.start(listener)
        self.clock.advance(0)
        self.assertEqual(audience.calls, [("connecting", ""), ("waiting", "no pg_hba.conf entry")])
        self.assertEqual(
            self.failureResultOf(self.asked(listener.notify("jobs"))).type, ConnectionError
        )
        listener.regain()
        listener.regain()
        self.clock.advance(0)
        self.assertEqual(audience.states[2:], [State.CONNECTING, State.LISTENING])

    def test_refuse_while_listening(self) -> None:
        """A session that is there goes on when further connections are refused."""
        listener, _ = self.listener("jobs")
        self.clock.advance(0)
        listener.refuse()
        self.clock.advance(0)
        self.assertTrue(listener.deliver("jobs"))
        self.assertEqual(listener.state, State.LISTENING)

    def asked(self, answer: Deferred[Any]) -> Deferred[Any]:
        """Give the answer its turn."""
        self.clock.advance(0)
        return answer

    def test_deaf(self) -> None:
        """A deaf session isn't healthy, and its probe fails, until it is made anew."""
        listener, audience = self.listener("jobs")
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(self.asked(listener.probe())), 0.0)
        listener.deafen("a pooler?")
        self.assertEqual(self.failureResultOf(self.asked(listener.probe())).type, ConnectionError)
        self.assertEqual(audience.calls[-1], ("deaf", "a pooler?"))
        self.successResultOf(self.asked(listener.notify("jobs")))
        listener.regain()
        self.clock.advance(0)
        self.assertEqual(audience.calls[-1], ("LISTEN", {"jobs"}, True))

    def test_no_session(self) -> None:
        """A test that loses what isn't there has a mistake, and is told."""
        listener = FakeListener(self.clock)
        for act in (listener.lose, listener.deafen):
            with self.assertRaisesRegex(AssertionError, "no session, it is stopped"):
                act()

    def test_sent(self) -> None:
        """What was asked to be sent can be looked at, in order, with this listener's pid."""
        listener, audience = self.listener("jobs")
        self.clock.advance(0)
        sending = [listener.notify("jobs", "7"), listener.notify("mail")]
        self.assertEqual(listener.sent, (("jobs", "7", 4711), ("mail", "", 4711)))
        self.assertIsInstance(listener.sent[0], Notification)
        self.assertNoResult(sending[0])
        self.clock.advance(0)
        self.assertEqual([self.successResultOf(answer) for answer in sending], [None, None])
        self.assertEqual(audience.heard, [("jobs", "7", 4711)])

    def test_sent_in_vain(self) -> None:
        """A stop fails what isn't sent yet; so does a listener that isn't running."""
        listener, audience = self.listener("jobs")
        self.clock.advance(0)
        answer = listener.notify("jobs")
        listener.stopService()
        for failed in (answer, listener.notify("jobs"), listener.probe()):
            self.failureResultOf(failed, ListenerStopped)
        self.assertEqual(audience.heard, [])

    def test_cancelled(self) -> None:
        """Whoever no longer waits is not called back, and harms nobody."""
        listener, _ = self.listener("jobs")
        answer, waiter = listener.notify("jobs"), listener.when_listening()
        for deferred in (answer, waiter):
            deferred.cancel()
            self.failureResultOf(deferred, CancelledError)
        self.clock.advance(0)
        self.assertEqual(listener.state, State.LISTENING)

    def test_stopped_at_once(self) -> None:
        """The audience knows of the stop when it is over, and hears of each state once."""
        listener, audience = self.listener("jobs")
        self.successResultOf(listener.stopService())
        self.assertEqual(audience.states, [State.CONNECTING, State.STOPPED])
        self.successResultOf(listener.stopService())
        self.assertEqual(audience.states, [State.CONNECTING, State.STOPPED])

    def test_nobody_told(self) -> None:
        """A listener without an audience is no error."""
        listener = FakeListener(self.clock)
        self.start(listener)
        listener.set_channels(["jobs"])
        self.clock.advance(0)
        self.assertTrue(listener.deliver("jobs"))


class AdvanceTests(Base):
    """Tests for :func:`advance_until_quiet`."""

    def test_quiet_already(self) -> None:
        """A loop that is quiet takes no time."""
        loop = Loop(self.clock)
        self.assertEqual(advance_until_quiet(self.clock, loop), 0.0)

    def test_waits(self) -> None:
        """The clock goes on as far as the function needs, and no further."""
        loop = Loop(self.clock)
        loop.add(lambda: deferLater(self.clock, 7, lambda: deferLater(self.clock, 2, int)))
        self.start(loop)
        self.assertEqual(advance_until_quiet(self.clock, loop), 9.0)
        self.assertEqual(advance_until_quiet(self.clock, loop), 0.0)

    def test_several(self) -> None:
        """All the loops given are quiet at the end."""
        loops = [DelegateLoop(self.clock, list)]
        for seconds in (3, 5):
            loop = Loop(self.clock)
            loop.add(lambda seconds=seconds: deferLater(self.clock, seconds))
            loops.append(loop)  # type: ignore[arg-type]
        for each in loops:
            self.start(each)
        self.assertEqual(advance_until_quiet(self.clock, *loops), 5.0)

    def test_bell(self) -> None:
        """Of a doorbell all loops are waited for."""
        bell = self.bell(interval=0)
        further = Loop(self.clock, name="further")
        further.add(lambda: deferLater(self.clock, 4))
        bell.add_loop(further)
        self.assertEqual(advance_until_quiet(self.clock, bell), 4.0)

    def test_sleeping_is_quiet(self) -> None:
        """A function that sleeps until a time isn't waited for."""
        loop = Loop(self.clock)
        loop.add(lambda: self.clock.seconds() + 30)
        self.start(loop)
        self.assertEqual(advance_until_quiet(self.clock, loop), 0.0)
        self.assertEqual(list(loop.wakeups.values()), [30.0])

    def test_limit(self) -> None:
        """What takes longer than the limit is an error that names it."""
        loop = Loop(self.clock, name="billing")
        loop.add(lambda: deferLater(self.clock, 70), name="send bills")
        self.start(loop)
        with self.assertRaisesRegex(
            AssertionError, "(?s)not in 60 s.*billing: send bills is active.*0 of 1"
        ):
            advance_until_quiet(self.clock, loop)
        self.assertLessEqual(self.clock.seconds(), 60)
        self.assertEqual(advance_until_quiet(self.clock, loop, limit=100), 40.0)

    def test_nothing_scheduled(self) -> None:
        """A function that waits for what the test must give is named at once."""
        gate: Deferred[None] = Deferred()
        loop = Loop(self.clock, name="billing", slow_after=3)
        loop.add(lambda: gate, name="ask the bank")
        self.start(loop)
        with self.assertRaisesRegex(
            AssertionError, "(?s)nothing is sched.*billing: ask the bank is active"
        ):
            advance_until_quiet(self.clock, loop)
        gate.callback(None)
        advance_until_quiet(self.clock, loop)

    def test_not_started(self) -> None:
        """A loop that nobody started is pointed out."""
        bell = Doorbell(self.clock, listener=FakeListener(self.clock))
        bell.trigger()
        with self.assertRaisesRegex(AssertionError, "was its service started"):
            advance_until_quiet(self.clock, bell)

    def test_for_ever(self) -> None:
        """A function that never has enough is an error, not a test that hangs."""
        loop = Loop(self.clock, name="greedy")
        loop.add(lambda: WORK_REMAINING)
        self.start(loop)
        with self.assertRaisesRegex(AssertionError, "(?s)on and on.*greedy: something is due"):
            advance_until_quiet(self.clock, loop, patience=0.05)

    def test_error_of_test(self) -> None:
        """An error in the test's own delayed call comes through, and leaves nothing behind."""

        def mistaken() -> None:
            raise RuntimeError("my mistake")

        self.clock.callLater(0, mistaken)
        with self.assertRaisesRegex(RuntimeError, "my mistake"):
            advance_until_quiet(self.clock, Loop(self.clock))


class RingTests(Base):
    """Tests for :func:`ring`."""

    def test_loop(self) -> None:
        """A loop is rung as by a notification: only those run that hear the channel."""
        ran: list[str] = []
        loop = Loop(self.clock)
        loop.add(lambda: ran.append("jobs"), channels=["jobs"])
        loop.add(lambda: ran.append("mail"), channels=["mail"])
        self.start(loop)
        advance_until_quiet(self.clock, loop)
        ran.clear()
        ring(loop, "jobs")
        self.assertEqual(ran, [])
        advance_until_quiet(self.clock, loop)
        self.assertEqual(ran, ["jobs"])

    def test_bell(self) -> None:
        """A doorbell is rung all the way: subscribers hear it, and functions run."""
        heard: list[object] = []
        bell = self.bell(lambda: heard.append("ran"), channels=["jobs"])
        bell.subscribe("me", "jobs", lambda *call: heard.append(call))
        advance_until_quiet(self.clock, bell)
        heard.clear()
        ring(bell, "jobs", "[7]", pid=42)
        advance_until_quiet(self.clock, bell)
        self.assertEqual(heard, [("me", "jobs", [7], 42), "ran"])

    def test_made_good(self) -> None:
        """What was rung while the session was gone is made good by the run after it."""
        ran: list[str] = []
        listener = FakeListener(self.clock)
        bell = Doorbell(self.clock, listener=listener, channels="jobs")
        bell.add(lambda: ran.append("ran"))
        self.start(bell)
        advance_until_quiet(self.clock, bell)
        listener.lose()
        self.assertFalse(listener.deliver("jobs"))
        advance_until_quiet(self.clock, bell)
        ran.clear()
        listener.regain()
        advance_until_quiet(self.clock, bell)
        self.assertEqual(ran, ["ran"])

    def test_lost(self) -> None:
        """A ring that PostgreSQL would drop is a mistake in the test, and says why."""
        bell = self.bell(channels="jobs")
        with self.assertRaisesRegex(AssertionError, r"'mail' is lost.*is listening.*\['jobs'\]"):
            ring(bell, "mail")

    def test_checked(self) -> None:
        """What PostgreSQL would not take can't be rung, whatever it is rung at."""
        for target in (self.bell(), Loop(self.clock)):
            for arguments in (("",), ("x" * 64,), ("jobs", "x" * 8000)):
                with self.assertRaises(ValueError):
                    ring(target, *arguments)

    def test_no_fake(self) -> None:
        """A doorbell with another listener is rung there, not here."""

        class Other(FakeListener):
            pass

        class Stranger:
            def __getattr__(self, name: str) -> Any:
                return getattr(fake, name)

        fake = Other(self.clock)
        stranger: Any = Stranger()
        bell = Doorbell(self.clock, listener=stranger)
        with self.assertRaisesRegex(TypeError, "is no FakeListener"):
            ring(bell, "doorbell")
