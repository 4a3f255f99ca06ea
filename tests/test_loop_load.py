"""A loop with much to do: the reactor's turns, the cost of a ring, and of many of them."""

import gc
import time
import tracemalloc
from functools import partial
from itertools import pairwise

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.loops import LoopCase
from txdoorbell.loop import Loop
from txdoorbell.notification import Notification


class ReactorTests(TestCase):
    """A loop on a real reactor."""

    timeout = 15

    async def test_reactor_gets_its_turn(self) -> None:
        """However many functions are due, those of 10 ms are called at most between two turns."""
        loop = Loop(reactor)
        calls = 0
        called_by_turn: list[int] = []

        def work() -> None:
            nonlocal calls
            calls += 1
            end = time.monotonic() + 0.0005
            while time.monotonic() < end:
                pass

        def turn() -> None:
            called_by_turn.append(calls)
            if not loop.is_quiet():
                reactor.callLater(0, turn)

        for _ in range(400):
            loop.add(partial(work))
        self.addCleanup(loop.stopService)
        loop.startService()
        turn()
        await loop.when_quiet()
        between = [later - earlier for earlier, later in pairwise(called_by_turn)]
        self.assertEqual(calls, 400)
        self.assertLessEqual(max(between), 20)

    async def test_sleeper(self) -> None:
        """A sleeper is woken at its time, by the wall clock, not before."""
        loop = Loop(reactor, minimum_delay=0.05)
        calls: list[tuple[float, float]] = []

        def function() -> float | None:
            calls.append((time.time(), time.monotonic()))
            return time.time() + 0.1 if len(calls) == 1 else None

        loop.add(function)
        self.addCleanup(loop.stopService)
        loop.startService()
        while len(calls) < 2:
            await deferLater(reactor, 0.01)
        self.assertGreaterEqual(calls[1][0] - calls[0][0], 0.1)
        self.assertLess(calls[1][1] - calls[0][1], 2)


class MemoryTests(LoopCase):
    """What is kept for rings and calls."""

    def grown(self) -> int:
        """Return the bytes that are in use since tracemalloc was started."""
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    def test_a_million_rings(self) -> None:
        """A million pending rings take up no more memory than one."""
        function = self.scripted()
        loop = self.build(function)
        loop.add(self.scripted(), channels="jobs")
        self.clock.advance(0)
        notification = Notification("jobs", "x" * 1000)
        loop.notified(notification)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = self.grown()
        for _ in range(500_000):
            loop.trigger()
            loop.notified(notification)
        self.assertLess(self.grown() - before, 2000)
        self.assertEqual(loop.rung - loop.covered, 1_000_001)
        self.clock.advance(0)
        self.assertEqual(function.calls, 2)
        self.assertQuiet(loop)

    def test_runs_leave_nothing(self) -> None:
        """Ten thousand runs of functions of every kind take up no memory for good."""

        async def coroutine() -> float:
            return 0.0

        def generator() -> object:
            yield
            return None

        loop = self.build(coroutine, generator, self.clock.seconds, slow_after=1, timeout=1)
        for _ in range(10):
            self.trigger(loop)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = self.grown()
        for _ in range(3000):
            self.trigger(loop)
        self.assertLess(self.grown() - before, 20_000)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_a_sleeper_that_is_rung(self) -> None:
        """One that is rung again and again, and sleeps each time till then, takes up no more."""
        loop = self.build(lambda: self.clock.seconds() + 1e6)
        for _ in range(300):
            self.trigger(loop)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = self.grown()
        for _ in range(3000):
            self.trigger(loop)
        self.assertLess(self.grown() - before, 20_000)
