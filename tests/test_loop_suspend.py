"""A loop that another host runs: what becomes of calls, rings, wake-ups and submitted work."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.logger import LogLevel

from tests.loops import Held, LoopCase, Scripted, Stubborn
from txdoorbell.loop import LoopStopped


class SuspendTests(LoopCase):
    """Suspended, and resumed."""

    def test_nothing_called(self) -> None:
        """A suspended loop calls nothing, however it is rung; resumed, it runs everything once."""
        function = self.scripted()
        loop = self.build(function)
        loop.suspend("another host runs it")
        for _ in range(3):
            self.trigger(loop)
            self.ring(loop)
        self.clock.advance(1000)
        self.assertEqual(function.calls, 1)
        loop.resume()
        self.clock.advance(0)
        self.assertEqual(function.calls, 2)
        self.assertQuiet(loop)

    def test_resume_alone(self) -> None:
        """Everything runs once when it is resumed, rung or not; once, if it isn't suspended."""
        function = self.scripted()
        loop = self.build(function)
        loop.suspend("another host runs it")
        loop.resume()
        loop.resume()
        self.clock.advance(0)
        self.assertEqual((function.calls, loop.runs["start"]), (2, 2))

    def test_quiet(self) -> None:
        """It is quiet, whatever has been rung: those who wait for that are told."""
        held = Held()
        loop = self.build(held)
        waiter = loop.when_quiet()
        loop.trigger()
        loop.suspend("another host runs it")
        self.successResultOf(waiter)
        self.assertTrue(loop.is_quiet())
        self.assertIsNone(self.successResultOf(loop.when_quiet()))

    def test_reason(self) -> None:
        """The first reason is kept, and shown as long as it is suspended."""
        loop = self.build()
        self.assertIsNone(loop.suspension)
        loop.suspend("another host runs it")
        loop.suspend("for another reason")
        self.assertEqual(loop.suspension, "another host runs it")
        self.assertEqual(loop.status().state, "suspended")
        loop.resume()
        self.assertIsNone(loop.suspension)

    def test_cancelled(self) -> None:
        """What is active is cancelled, which is no error, and not tried again for it."""
        held = Held()
        loop = self.build(held)
        loop.suspend("another host runs it")
        self.assertIsNone(loop.active)
        self.assertIn("was cancelled", self.logged())
        self.assertEqual(dict(loop.wakeups), {})

    def test_rest_of_the_run(self) -> None:
        """What was left of the run isn't called then, and once, not twice, when it is resumed."""
        held, after = Held(), self.scripted()
        loop = self.build(held, after)
        loop.suspend("another host runs it")
        self.clock.advance(10)
        self.assertEqual(after.calls, 0)
        loop.resume()
        self.clock.advance(0)
        held.pending.pop().callback(None)
        self.clock.advance(0)
        self.assertEqual((held.calls, after.calls), (2, 1))
        self.assertQuiet(loop)

    def test_not_covered(self) -> None:
        """A ring whose run was cut short is not called served."""
        held = Held()
        loop = self.build(held)
        held.fire()
        self.clock.advance(0)
        self.trigger(loop)
        loop.suspend("another host runs it")
        self.assertLess(loop.covered, loop.rung)

    def test_stubborn(self) -> None:
        """What ignores its cancellation is stuck a second later; no second one runs beside it."""
        stubborn, other = Stubborn(), self.scripted()
        loop = self.build(stubborn, other)
        loop.suspend("another host runs it")
        self.assertFalse(loop.is_quiet())
        self.clock.advance(0.9)
        self.assertIsNone(loop.stuck)
        self.clock.advance(0.1)
        self.assertIsNotNone(loop.stuck)
        self.assertIn("is stuck", self.logged(LogLevel.error))
        loop.resume()
        self.clock.advance(60)
        self.assertEqual(other.calls, 0)
        self.assertIn("is resumed, and waits for", self.logged(LogLevel.warn))
        loop.remove(stubborn)
        stubborn.fire()
        self.clock.advance(0)
        self.assertIsNone(loop.stuck)
        self.assertEqual(other.calls, 1)

    def test_wakeup(self) -> None:
        """A sleeper isn't woken meanwhile; resumed, it is called like all others."""
        sleeper = Scripted(self.clock, self.clock.seconds() + 60, None)
        loop = self.build(sleeper)
        loop.suspend("another host runs it")
        self.clock.advance(3600)
        self.assertEqual(sleeper.calls, 1)
        loop.resume()
        self.clock.advance(0)
        self.assertEqual(sleeper.calls, 2)
        self.assertEqual(dict(loop.wakeups), {})

    def test_result_counts(self) -> None:
        """What goes on to its end all the same has its result: here, when it is to wake."""
        stubborn = Stubborn()
        loop = self.build(stubborn)
        loop.suspend("another host runs it")
        stubborn.fire(self.clock.seconds() + 60)
        self.assertEqual(list(loop.wakeups.values()), [self.clock.seconds() + 60])

    def test_submitted(self) -> None:
        """Submitted work waits till it is resumed; that which is active is cancelled."""
        held = Held()
        loop = self.build()
        active = loop.submit(held)
        self.clock.advance(0)
        loop.suspend("another host runs it")
        self.failureResultOf(active, CancelledError)
        waiting = loop.submit(lambda: 7)
        self.clock.advance(10)
        self.assertNoResult(waiting)
        self.assertEqual(loop.status().submitted, 1)
        loop.resume()
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(waiting), 7)

    def test_submitted_and_stopped(self) -> None:
        """A stop fails what waits in a suspended loop."""
        loop = self.build()
        loop.suspend("another host runs it")
        waiting = loop.submit(lambda: 7)
        self.stopped(loop)
        self.failureResultOf(waiting, LoopStopped)

    def test_outlasts_a_stop(self) -> None:
        """Stopped and started, it is suspended still."""
        function = self.scripted()
        loop = self.build(function)
        loop.suspend("another host runs it")
        self.stopped(loop)
        loop.startService()
        self.clock.advance(0)
        self.assertEqual((function.calls, loop.status().state), (1, "suspended"))

    def test_crash(self) -> None:
        """A crash says what was left undone: what has been rung while it was suspended."""
        function = self.scripted()
        loop = self.build(function)
        loop.suspend("another host runs it")
        loop.trigger()
        self.assertEqual(loop.crash(), [function])

    def test_latencies(self) -> None:
        """The hours for which another host ran it are no latency of this one."""
        loop = self.build(self.scripted())
        loop.suspend("another host runs it")
        self.trigger(loop)
        self.clock.advance(3600)
        loop.resume()
        self.clock.advance(0)
        self.assertLess(loop.status().latencies.total, 1.0)

    def test_may_not(self) -> None:
        """What is asked before each call is asked between two calls of one run, too."""
        allowed = [True, False]
        first, second = self.scripted(), self.scripted()
        loop = self.build()
        loop.may_call = lambda: allowed.pop(0)
        loop.add(first)
        loop.add(second)
        self.clock.advance(0)
        self.assertEqual((first.calls, second.calls), (1, 0))
        self.assertEqual(loop.suspension, "it may not be called any more")

    def test_told(self) -> None:
        """Those who watch the loop are told that it has been suspended."""
        loop = self.build()
        told: list[str] = []
        loop.on_change = lambda: told.append(loop.status().state)
        loop.suspend("another host runs it")
        self.assertEqual(told, ["suspended"])
