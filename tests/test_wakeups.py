"""Wake-ups on two clocks: a wall clock that is stepped, and a monotonic one that is not."""

import math
import time
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.python import runtime
from twisted.trial.unittest import SynchronousTestCase

from tests.loops import LoopCase
from txdoorbell.clocks import SteadyClock, monotonic_of
from txdoorbell.loop import Loop
from txdoorbell.loops.wakeups import LONGEST_SLEEP, Wakeups
from txdoorbell.processor import Processor

NOON = 1_700_000_000.0


class TwoClocks:
    """A wall clock and a monotonic clock, which a test steps."""

    def __init__(self, epoch: float = NOON, monotonic: float = 100.0) -> None:
        self.epoch = epoch
        self.monotonic = monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass on both."""
        self.epoch += seconds
        self.monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock."""
        self.epoch += seconds


class WakeupsTests(SynchronousTestCase):
    """Who sleeps until when."""

    def setUp(self) -> None:
        """Make the clocks, and a sleeper for which no wake-up is set yet."""
        self.clocks = TwoClocks()
        self.wakeups = Wakeups(lambda: self.clocks.epoch, lambda: self.clocks.monotonic)
        self.sleeper = self.make()

    def make(self) -> Processor:
        """Return a processor."""
        return Processor(partial(list))

    def assertWakes(self, after: float, *processors: Processor) -> None:
        """These are woken after so many seconds, and not one millisecond sooner."""
        self.clocks.advance(after - 0.001)
        self.assertEqual(list(self.wakeups.take_due()), [])
        self.clocks.advance(0.0011)
        self.assertEqual(list(self.wakeups.take_due()), list(processors or [self.sleeper]))
        self.assertIsNone(self.wakeups.delay())
        self.assertEqual(dict(self.wakeups.times), {})

    def test_at_its_time(self) -> None:
        """A sleeper is woken at the time that it asked for."""
        self.wakeups.set(self.sleeper, NOON + 60, 5)
        self.assertEqual(dict(self.wakeups.times), {self.sleeper.key: NOON + 60})
        self.assertEqual(self.wakeups.delay(), 60)
        self.assertWakes(60)

    def test_minimum_delay(self) -> None:
        """One that asks for the past is woken when the delay is over."""
        self.wakeups.set(self.sleeper, 0, 5)
        self.assertEqual(dict(self.wakeups.times), {self.sleeper.key: NOON + 5})
        self.assertWakes(5)

    def test_set_anew(self) -> None:
        """A new wake-up takes the place of the old one, be it later or sooner."""
        self.wakeups.set(self.sleeper, NOON + 60, 5)
        self.wakeups.set(self.sleeper, NOON + 90, 5)
        self.wakeups.set(self.sleeper, NOON + 30, 5)
        self.assertWakes(30)

    def test_cancel(self) -> None:
        """One whose wake-up is cancelled is not woken; cancelling it again is harmless."""
        self.wakeups.set(self.sleeper, NOON + 60, 5)
        self.wakeups.cancel(self.sleeper)
        self.wakeups.cancel(self.sleeper)
        self.assertIsNone(self.wakeups.delay())
        self.clocks.advance(100)
        self.assertEqual(list(self.wakeups.take_due()), [])

    def test_restore(self) -> None:
        """A wake-up that was cancelled can be set as it was."""
        self.wakeups.set(self.sleeper, NOON + 60, 5)
        self.clocks.advance(10)
        self.wakeups.cancel(self.sleeper)
        self.clocks.advance(10)
        self.wakeups.restore(self.sleeper)
        self.assertWakes(40)

    def test_in_order(self) -> None:
        """Those whose time has come are woken the earliest first."""
        late, early = self.make(), self.make()
        self.wakeups.set(late, NOON + 20, 5)
        self.wakeups.set(early, NOON + 10, 5)
        self.wakeups.set(self.sleeper, NOON + 30, 5)
        self.clocks.advance(20)
        self.assertEqual(list(self.wakeups.take_due()), [early, late])
        self.assertEqual(self.wakeups.delay(), 10)

    def test_looks_now_and_then(self) -> None:
        """However long the sleep, the clocks are looked at each hour."""
        self.wakeups.set(self.sleeper, NOON + 1e12, 5)
        self.assertEqual(self.wakeups.delay(), LONGEST_SLEEP)

    def test_overdue(self) -> None:
        """When a time has passed already, the delay is 0, not less."""
        self.wakeups.set(self.sleeper, NOON + 60, 5)
        self.clocks.advance(100)
        self.assertEqual(self.wakeups.delay(), 0)

    # -- the wall clock is stepped

    def test_forward_over_its_time(self) -> None:
        """The wall clock jumps over the time asked for: it is woken at once."""
        self.wakeups.set(self.sleeper, NOON + 3600, 5)
        self.clocks.advance(6)
        self.clocks.step(7200)
        self.assertEqual(self.wakeups.delay(), 0)
        self.assertEqual(list(self.wakeups.take_due()), [self.sleeper])

    def test_forward_within_the_minimum_delay(self) -> None:
        """A jump forward does not shorten the 5 s after a result."""
        self.wakeups.set(self.sleeper, NOON + 3600, 5)
        self.clocks.advance(1)
        self.clocks.step(7200)
        self.assertAlmostEqual(self.wakeups.delay() or 0, 4, 3)
        self.assertWakes(4)

    def test_back(self) -> None:
        """A jump back: who asked for a time waits until the wall clock says so. A time that had
        passed is not one to wait for anew: 5 s are 5 s.
        """
        past = self.make()
        self.wakeups.set(self.sleeper, NOON + 60, 5)
        self.wakeups.set(past, NOON, 5)
        self.clocks.advance(1)
        self.clocks.step(-3600)
        self.assertAlmostEqual(self.wakeups.delay() or 0, 4, 3)
        self.clocks.advance(3.999)
        self.assertEqual(list(self.wakeups.take_due()), [])
        self.clocks.advance(0.002)
        self.assertEqual(list(self.wakeups.take_due()), [past])
        self.assertWakes(3600 + 60 - 5.001)

    def test_times_follow(self) -> None:
        """What the mapping says follows the wall clock."""
        self.wakeups.set(self.sleeper, 0, 5)
        self.clocks.step(-1000)
        self.wakeups.resettle()
        self.assertAlmostEqual(self.wakeups.times[self.sleeper.key], NOON - 995, 3)

    def test_a_hair_s_breadth(self) -> None:
        """Where the clocks differ by less than the wall clock can tell, nothing spins."""
        for hair in (1e-9, 1e-8, 1e-7, 2e-7):
            self.wakeups.set(self.sleeper, NOON, 5)
            self.clocks.epoch += 5
            self.clocks.monotonic += 5 - hair
            self.assertEqual(list(self.wakeups.take_due()), [])
            self.clocks.advance(0.001)
            self.assertEqual(list(self.wakeups.take_due()), [self.sleeper])

    def test_slow_drift(self) -> None:
        """Clocks that drift apart slowly wake nobody before 5 s have really passed."""
        self.wakeups.set(self.sleeper, NOON, 5)
        self.clocks.epoch += 5
        self.clocks.monotonic += 4.8
        self.assertEqual(list(self.wakeups.take_due()), [])
        self.assertAlmostEqual(self.wakeups.delay() or 0, 0.2, 3)
        self.clocks.advance(0.21)
        self.assertEqual(list(self.wakeups.take_due()), [self.sleeper])

    def test_many(self) -> None:
        """With ten thousand asleep, one that sets its wake-up again and again keeps it small."""
        for number in range(10_000):
            self.wakeups.set(self.make(), NOON + 1e6 + number, 5)
        for number in range(30_000):
            self.wakeups.set(self.sleeper, NOON + 60 + number % 7, 5)
        self.assertEqual(len(self.wakeups.times), 10_001)
        self.assertEqual(self.wakeups.delay(), 60 + 29_999 % 7)

    @settings(
        max_examples=300,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),  # a busy machine is no failure
    )
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("set"), st.integers(0, 3), st.floats(-50, 50)),
                st.tuples(st.just("cancel"), st.integers(0, 3), st.just(0.0)),
                st.tuples(st.just("advance"), st.just(0), st.floats(0, 20)),
                st.tuples(st.just("step"), st.just(0), st.floats(-40, 40)),
            ),
            max_size=40,
        )
    )
    def test_any_schedule(self, schedule: list[tuple[str, int, float]]) -> None:
        """Whatever the wall clock does, nobody is woken before their time, nor before 5 s, and
        everybody who is due is woken when one looks.
        """
        self.setUp()
        sleepers = [self.make() for _ in range(4)]
        expected: dict[Processor, tuple[float, float]] = {}
        for what, number, value in schedule:
            sleeper = sleepers[number]
            if what == "set":
                self.wakeups.set(sleeper, self.clocks.epoch + value, 5)
                at = self.clocks.epoch + value
                passed = at <= self.clocks.epoch
                expected[sleeper] = (-math.inf if passed else at, self.clocks.monotonic + 5)
            elif what == "cancel":
                self.wakeups.cancel(sleeper)
                expected.pop(sleeper, None)
            else:
                getattr(self.clocks, what)(value)
            for woken in self.wakeups.take_due():
                at, not_before = expected.pop(woken)
                self.assertGreaterEqual(self.clocks.epoch, at)
                self.assertGreaterEqual(self.clocks.monotonic, not_before)
            for at, not_before in expected.values():
                late = min(self.clocks.epoch - at, self.clocks.monotonic - not_before)
                self.assertLess(late, 0.26)
            self.assertEqual(set(self.wakeups.times), {s.key for s in expected})


class WallClock(Clock):
    """A clock like that of Twisted's reactors: its ``seconds`` is the system's wall clock."""

    def __init__(self, clocks: TwoClocks) -> None:
        super().__init__()
        self.clocks = clocks

    def seconds(self) -> float:
        """Return the time on the wall."""
        return self.clocks.epoch

    def advance(self, amount: float) -> None:
        """Let time pass, and call what is due by the wall clock."""
        self.clocks.advance(amount)
        super().advance(0)


class SteppedLoopTests(LoopCase):
    """A loop on a reactor whose wall clock is stepped."""

    def setUp(self) -> None:
        """Make a reactor of two clocks, and a loop on it."""
        super().setUp()
        self.clocks = TwoClocks()
        self.wall = WallClock(self.clocks)
        self.reactor = SteadyClock(self.wall, lambda: self.clocks.monotonic)
        self.addCleanup(lambda: self.assertEqual(self.wall.getDelayedCalls(), []))

    def test_the_monotonic_clock_of_a_reactor(self) -> None:
        """Twisted's reactors, whose seconds are the wall clock's, are given a monotonic one."""
        from twisted.internet import reactor

        self.assertIs(reactor.seconds, runtime.seconds)
        self.assertIs(monotonic_of(reactor), time.monotonic)

    def test_stepped_forward(self) -> None:
        """A loop wakes nobody too soon when the wall clock jumps forward."""
        calls: list[float] = []

        def function() -> float:
            calls.append(self.clocks.monotonic)
            return self.clocks.epoch

        loop = Loop(self.reactor)
        loop.add(function)
        loop.startService()
        self.addCleanup(loop.stopService)
        self.wall.advance(0)
        self.wall.advance(1)
        self.clocks.step(3600)
        for _ in range(100):
            self.wall.advance(0.05)
        self.assertEqual(len(calls), 2)
        self.assertGreaterEqual(calls[1] - calls[0], 5 - 1e-6)
