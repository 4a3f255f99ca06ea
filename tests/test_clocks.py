"""Clocks that can be relied on: delayed calls keep their length when the wall clock jumps."""

from __future__ import annotations

import math
import time

from twisted.internet import reactor
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.stepping_clock import SteppingClock
from txdoorbell.clocks import SteadyClock, boottime, monotonic_of, running_out, sleepless_of


class SteadyClockTests(SynchronousTestCase):
    """A clock on top of a reactor's."""

    def setUp(self) -> None:
        """Begin with a clock that can be stepped, an hour after the epoch."""
        self.wall = SteppingClock()
        self.wall.let_pass(3600)
        self.clock = SteadyClock(self.wall)
        self.called: list[object] = []

    def test_interface(self) -> None:
        """It is what Twisted takes for a clock, and shows the wall clock's time."""
        self.assertTrue(verifyObject(IReactorTime, self.clock))
        self.assertEqual(self.clock.seconds(), 3600)

    def test_a_call(self) -> None:
        """A delayed call gets its arguments at its time, once."""
        call = self.clock.callLater(5, lambda *a, **k: self.called.append((a, k)), 1, two=2)
        self.wall.let_pass(4.9)
        self.assertEqual(self.called, [])
        self.assertTrue(call.active())
        self.wall.let_pass(0.1)
        self.assertEqual(self.called, [((1,), {"two": 2})])
        self.assertFalse(call.active())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_set_forward(self) -> None:
        """A wall clock set forward makes nothing come early."""
        self.clock.callLater(60, self.called.append, 1)
        self.wall.step(3600)
        self.assertEqual(self.called, [])
        self.wall.let_pass(59.9)
        self.assertEqual(self.called, [])
        self.wall.let_pass(0.1)
        self.assertEqual(self.called, [1])

    def test_set_back(self) -> None:
        """A wall clock set back makes nothing come late, once that has been seen."""
        self.clock.callLater(60, self.called.append, 1)
        self.wall.let_pass(10)
        self.wall.step(-3600)
        self.clock.resettle()
        self.wall.let_pass(49.9)
        self.assertEqual(self.called, [])
        self.wall.let_pass(0.1)
        self.assertEqual(self.called, [1])

    def test_made_after_the_step(self) -> None:
        """A call made after a step that has not been seen yet keeps its length too."""
        self.wall.step(-3600)
        self.clock.callLater(60, self.called.append, 1)
        self.clock.resettle()
        self.wall.let_pass(59.9)
        self.assertEqual(self.called, [])
        self.wall.let_pass(0.1)
        self.assertEqual(self.called, [1])

    def test_cancel(self) -> None:
        """A cancelled call is never made; cancelling twice is the usual error."""
        call = self.clock.callLater(5, self.called.append, 1)
        call.cancel()
        self.clock.resettle()
        self.wall.let_pass(10)
        self.assertEqual(self.called, [])
        self.assertRaises(AlreadyCancelled, call.cancel)

    def test_cancel_too_late(self) -> None:
        """Cancelling what was called is the usual error."""
        call = self.clock.callLater(0, self.called.append, 1)
        self.wall.let_pass(0)
        self.assertRaises(AlreadyCalled, call.cancel)

    def test_reset_and_delay(self) -> None:
        """A call is put off by ``delay`` and ``reset``, and keeps the new time over a step."""
        call = self.clock.callLater(5, self.called.append, 1)
        call.delay(5)
        self.assertEqual(call.getTime(), 3610)
        call.reset(20)
        self.wall.step(-100)
        self.clock.resettle()
        self.wall.let_pass(19.9)
        self.assertEqual(self.called, [])
        self.wall.let_pass(0.1)
        self.assertEqual(self.called, [1])

    def test_all_else_is_the_reactors(self) -> None:
        """What is no time is the reactor's own."""
        self.assertEqual(self.clock.passed, 3600)


class MonotonicTests(SynchronousTestCase):
    """Which clock never jumps."""

    def test_of_a_reactor(self) -> None:
        """A real reactor counts on the wall clock: the system's monotonic clock goes with it."""
        self.assertIs(monotonic_of(IReactorTime(reactor)), time.monotonic)
        self.assertIs(SteadyClock(IReactorTime(reactor)).monotonic, time.monotonic)

    def test_that_goes_on(self) -> None:
        """The one that goes on while the machine is suspended is Linux' clock since its start."""
        if not hasattr(time, "CLOCK_BOOTTIME"):
            raise SkipTest("this system has no such clock")
        clock = sleepless_of(SteadyClock(IReactorTime(reactor)))
        before, now, after = boottime(), clock(), boottime()
        self.assertTrue(before <= now <= after)

    def test_of_a_tests_clock(self) -> None:
        """A test's clock is its own."""
        clock = Clock()
        monotonic = monotonic_of(clock)
        clock.advance(7)
        self.assertEqual((monotonic(), sleepless_of(clock)()), (7, 7))

    def test_running_out(self) -> None:
        """A length of time on a test's clock is over, too, when it has really passed."""
        clock = Clock()
        clock.advance(7)
        short, long = running_out(clock.seconds, 0), running_out(clock.seconds, 1e9)
        self.assertEqual((short(), long()), (math.inf, 7))
        self.assertIs(running_out(time.monotonic, 0), time.monotonic)
