"""Functions that ignore their cancellation: reported with their stack, and the loop's policy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.bells import BellTestCase
from tests.logs import LogMixin
from tests.waiting import wait_for
from txdoorbell.loop import Loop


class StuckTests(SynchronousTestCase, LogMixin):
    """On a Clock."""

    def setUp(self) -> None:
        """Begin with a running loop whose calls time out after 10 s."""
        self.clock = Clock()
        self.loop = Loop(self.clock, timeout=10, stop_timeout=1)
        self.loop.startService()
        self.addCleanup(self.stop)
        self.end: Deferred[None] = Deferred()
        self.capture_logs()

    def stop(self) -> None:
        """Stop the loop, and let what is stuck end."""
        stopping = self.loop.stopService()
        self.clock.advance(1)
        self.successResultOf(stopping)
        if not self.end.called:
            self.end.callback(None)
        self.flushLoggedErrors(TimeoutError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def stubborn_deferred(self) -> Deferred[None]:
        """Return a Deferred that, cancelled, waits for another one."""
        outer: Deferred[None] = Deferred()
        outer.addErrback(lambda _: self.end)
        return outer

    async def inner(self) -> None:
        """Ignore every cancellation, a level further down."""
        try:
            await Deferred()
        except CancelledError:
            await self.end

    async def stubborn(self) -> None:
        """Ignore every cancellation."""
        await self.inner()

    def report(self, function: Callable[[], Any], after: float = 15) -> str:
        """Return what was logged of a function that is stuck."""
        self.loop.add(function, name="stubborn")
        self.clock.advance(0)
        self.clock.pump([10, after - 10])
        return "\n".join(text for text in self.logged_texts() if "stuck" in text)

    def test_reported(self) -> None:
        """A coroutine that goes on after its timeout is stuck; its whole stack is in the log."""
        report = self.report(self.stubborn)
        self.assertIn("stubborn is stuck", report)
        self.assertIn("await self.inner()", report)
        self.assertIn("await self.end", report)
        self.assertEqual(self.loop.stuck, "stubborn")

    def test_grace(self) -> None:
        """It has 5 s to end after its cancellation."""
        self.assertEqual(self.report(self.stubborn, after=14.9), "")

    def test_ended_in_time(self) -> None:
        """A function that cleans up after its cancellation is not stuck."""
        self.loop.add(self.stubborn)
        self.clock.advance(0)
        self.clock.advance(12)
        self.end.callback(None)
        self.clock.advance(20)
        self.assertIsNone(self.loop.stuck)
        self.assertNotIn("stuck", "".join(self.logged_texts()))

    def test_waits(self) -> None:
        """The loop waits for it: nothing else is called, and it goes on once it has ended."""
        calls: list[int] = []
        self.report(self.stubborn)
        self.loop.add(lambda: calls.append(1))
        self.clock.advance(100)
        self.assertEqual(calls, [])
        self.end.callback(None)
        self.clock.advance(0)
        self.assertEqual(calls, [1])
        self.assertIsNone(self.loop.stuck)

    def test_generator(self) -> None:
        """A generator is shown at the line where it waits."""

        def steps() -> Generator[Deferred[None], None, None]:
            yield self.stubborn_deferred()

        self.assertIn("yield self.stubborn_deferred()", self.report(steps))

    def test_deferred(self) -> None:
        """A Deferred that another one holds up is named."""
        self.assertIn("Deferred", self.report(self.stubborn_deferred))

    def test_left_behind(self) -> None:
        """A stop that leaves a function behind shows its stack too."""
        self.loop.add(self.stubborn, name="stubborn")
        self.clock.advance(0)
        self.loop.stopService()
        self.clock.pump([1, 0.1])
        (report,) = [text for text in self.logged_texts() if "left behind" in text]
        self.assertIn("await self.end", report)

    def test_wrong_policy(self) -> None:
        """A policy that isn't known is named."""
        error = self.assertRaises(ValueError, Loop, self.clock, stuck="explode")
        self.assertIn("explode", str(error))


class ResignTests(BellTestCase):
    """A stuck function may end the service."""

    def stuck(self, policy: Any) -> Any:
        """Return a doorbell with a function that is stuck."""
        loop = Loop(self.clock, timeout=10, stop_timeout=1, stuck=policy)
        bell = self.running(loop=loop, interval=0)
        bell.on_resign(self.noting("resigned"))
        end: Deferred[None] = Deferred()
        self.addCleanup(end.callback, None)

        async def stubborn() -> None:
            try:
                await Deferred()
            except CancelledError:
                await end

        bell.add(stubborn)
        self.turn()
        self.clock.pump([10, 5, 1])
        return bell

    def test_resign(self) -> None:
        """With ``resign`` the service stops itself, for a supervisor to start another."""
        bell = self.stuck("resign")
        self.assertFalse(bell.running)
        self.assertEqual(self.ran, ["resigned"])
        self.flushLoggedErrors(TimeoutError)

    def test_wait(self) -> None:
        """With ``wait``, which is the default, it goes on waiting."""
        bell = self.stuck("wait")
        self.assertTrue(bell.running)
        stopping = bell.stopService()
        self.clock.advance(1)
        self.successResultOf(stopping)
        self.flushLoggedErrors(TimeoutError)


class ThreadTests(TestCase, LogMixin):
    """On a real reactor."""

    async def test_thread(self) -> None:
        """A thread that ignores its budget is shown at the line where it waits."""
        end = threading.Event()
        self.addCleanup(end.set)
        self.capture_logs()
        loop = Loop(reactor, timeout=0.1)
        loop.add(lambda: end.wait(30) and None, blocking=True, name="waits")
        loop.startService()
        await wait_for("a stuck thread to be reported", lambda: loop.stuck, 30)
        self.assertIn("end.wait(30)", "\n".join(self.logged_texts()))
        end.set()
        await loop.stopService()
