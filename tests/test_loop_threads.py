"""Blocking functions in the thread pool of a real reactor."""

import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.internet import defer, reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.loops import Boom
from txdoorbell import WORK_REMAINING
from txdoorbell.loop import Loop, LoopStopped
from txdoorbell.processor import TimeBudget


class Blocked:
    """A function that blocks its thread until the test opens a gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.began = threading.Event()
        self.active = 0
        self.most = 0
        self.calls = 0

    def __call__(self) -> None:
        """Block, for 10 s at most."""
        self.calls += 1
        self.active += 1
        self.most = max(self.most, self.active)
        self.began.set()
        assert self.gate.wait(10), "the gate was not opened within 10 s"
        self.active -= 1

    def open(self) -> None:
        """Let it, and all further calls, go on."""
        self.gate.set()


class Handler:
    """A handler that runs until it is stopped."""

    notification_channel = "stream"

    def __init__(self) -> None:
        self.began = threading.Event()
        self.stopped = threading.Event()
        self.thread = 0

    def interested_in_notification(self, payload: object) -> bool:
        """Be interested in all."""
        return True

    def take_notification_hint(self, payload: object) -> None:
        """Take no note."""

    def run(self, budget: TimeBudget) -> None:
        """Run until it is stopped, for 10 s at most."""
        self.thread = threading.get_ident()
        self.began.set()
        assert self.stopped.wait(10), "it was not stopped within 10 s"

    def stop(self) -> None:
        """End the run."""
        self.stopped.set()


class WillNotStop(Handler):
    """A handler whose ``stop()`` hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def run(self, budget: TimeBudget) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Hang, for 10 s at most."""
        self.gate.wait(10)


class ThreadTests(TestCase):
    """``blocking=True``."""

    timeout = 15

    def build(self, *functions: Callable[..., object], **options: Any) -> Loop:
        """Return a started loop of blocking functions, stopped at the end."""
        loop = Loop(reactor, **options)
        for function in functions:
            loop.add(function, blocking=True)
        self.addCleanup(loop.stopService)
        loop.startService()
        return loop

    def sleep(self, seconds: float) -> Deferred[Any]:
        """Let the reactor run for a while."""
        return deferLater(reactor, seconds)

    async def when(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a condition, 10 s at most."""
        end = time.monotonic() + 10
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}: not within 10 s")
            await self.sleep(0.005)

    async def test_in_a_thread(self) -> None:
        """It is called in another thread; one at a time holds, and the reactor runs on."""
        main, threads = threading.get_ident(), []
        blocked = Blocked()
        loop = self.build(blocked, lambda: threads.append(threading.get_ident()))
        await self.when("it begins", blocked.began.is_set)
        await self.sleep(0.02)
        self.assertEqual((loop.active, threads), ("Blocked", []))
        blocked.open()
        await loop.when_quiet()
        self.assertEqual(len(threads), 1)
        self.assertNotEqual(threads[0], main)

    async def test_result_and_error(self) -> None:
        """Its result means what it always does, and its error goes to ``log.err``."""
        results: list[object] = [WORK_REMAINING, None]

        def fail() -> None:
            raise Boom

        def leave() -> None:
            raise SystemExit

        loop = self.build(lambda: results.pop(0), fail, leave)
        await loop.when_quiet()
        self.assertEqual(results, [])
        self.assertEqual(list(loop.wakeups), [fail, leave])
        self.assertEqual(len(self.flushLoggedErrors(Boom, SystemExit)), 2)

    async def test_returns_what_is_waited_for(self) -> None:
        """A Deferred or a coroutine that it returns is waited for in the reactor's thread."""
        main, threads = threading.get_ident(), []
        pending: Deferred[None] = Deferred()

        async def coroutine() -> None:
            threads.append(threading.get_ident())
            await pending

        loop = self.build(lambda: succeed(WORK_REMAINING) if not threads else None, coroutine)
        await self.when("the coroutine begins", lambda: bool(threads))
        self.assertEqual(threads, [main])
        self.assertFalse(loop.is_quiet())
        pending.callback(None)
        await loop.when_quiet()

    async def test_timeout(self) -> None:
        """At its timeout it is logged; its thread goes on, and so nobody else is called."""
        blocked, others = Blocked(), []
        loop = self.build(blocked, lambda: others.append(1), timeout=0.02)
        self.addCleanup(blocked.open)
        await self.when("it begins", blocked.began.is_set)
        await self.sleep(0.1)
        self.assertEqual((loop.active, others), ("Blocked", []))
        blocked.open()
        await loop.when_quiet()
        self.assertEqual((blocked.most, others), (1, [1]))

    async def test_budget_at_the_timeout(self) -> None:
        """One that asks its budget ends when it is cancelled: that is how it hears of it."""
        budgets: list[TimeBudget] = []

        def patient(budget: TimeBudget) -> None:
            budgets.append(budget)
            while not budget.over_budget():
                threading.Event().wait(0.005)

        loop = self.build(patient, budget=1000, timeout=0.05)
        await loop.when_quiet()
        self.assertTrue(budgets[0].over_budget())

    async def test_stop_waits(self) -> None:
        """A stop waits for the thread."""
        blocked = Blocked()
        loop = self.build(blocked)
        await self.when("it begins", blocked.began.is_set)
        stopping = loop.stopService()
        await self.sleep(0.02)
        self.assertFalse(stopping.called)
        blocked.open()
        await stopping
        self.assertEqual(blocked.active, 0)

    async def test_stop_gives_up(self) -> None:
        """A stop fires at its deadline; started again, the loop waits for the thread."""
        blocked = Blocked()
        self.addCleanup(blocked.open)
        loop = self.build(blocked, stop_timeout=0.05)
        await self.when("it begins", blocked.began.is_set)
        await loop.stopService()
        self.assertEqual(blocked.active, 1)
        loop.startService()
        await self.sleep(0.05)
        self.assertEqual((blocked.calls, loop.is_quiet()), (1, False))
        blocked.open()
        await loop.when_quiet()
        self.assertEqual((blocked.calls, blocked.most), (2, 1))

    async def test_crash(self) -> None:
        """After a crash the thread goes on, unheard; started again, the loop waits for it."""
        blocked = Blocked()
        self.addCleanup(blocked.open)
        loop = self.build(blocked)
        await self.when("it begins", blocked.began.is_set)
        self.assertEqual(loop.crash(), [blocked])
        loop.startService()
        await self.sleep(0.02)
        self.assertEqual(blocked.calls, 1)
        blocked.open()
        await loop.when_quiet()
        self.assertEqual((blocked.calls, blocked.most), (2, 1))

    async def test_rung_meanwhile(self) -> None:
        """Rings from the thread itself, by way of the reactor, cause another run."""
        loop = Loop(reactor)
        calls: list[int] = []

        def function() -> None:
            calls.append(1)
            if len(calls) < 3:
                reactor.callFromThread(loop.trigger)  # type: ignore[attr-defined]

        loop.add(function, blocking=True)
        self.addCleanup(loop.stopService)
        loop.startService()
        await self.when("three calls", lambda: len(calls) == 3)
        await loop.when_quiet()

    async def test_handler(self) -> None:
        """A handler runs in a thread, and is stopped in another while it runs."""
        handler = Handler()
        loop = Loop(reactor)
        loop.register(handler)
        loop.startService()
        await self.when("it begins", handler.began.is_set)
        await loop.stopService()
        self.assertTrue(handler.stopped.is_set())
        self.assertNotEqual(handler.thread, threading.get_ident())

    async def test_handler_that_will_not_stop(self) -> None:
        """A handler whose ``stop()`` hangs does not hold up the loop's stop past its deadline."""
        handler = WillNotStop()
        self.addCleanup(handler.gate.set)
        loop = Loop(reactor, stop_timeout=0.05)
        loop.register(handler, blocking=False)
        loop.startService()
        await loop.when_quiet()
        await loop.stopService()
        (failure,) = self.flushLoggedErrors(defer.TimeoutError)
        self.assertIn("0.05", str(failure.value))

    async def test_submitted_while_a_thread_is_active(self) -> None:
        """Submitted work waits for the thread; at a stop it fails."""
        blocked = Blocked()
        loop = self.build(blocked)
        await self.when("it begins", blocked.began.is_set)
        done = loop.submit(lambda: "never")
        stopping = loop.stopService()
        self.failureResultOf(done, LoopStopped)
        blocked.open()
        await stopping
