"""Functions that take too long: warned of, cancelled, and waited for if they go on."""

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.logger import LogLevel

from tests.loops import Held, LoopCase
from txdoorbell.loops.call import FunctionTimeout


class SlowTests(LoopCase):
    """``slow_after``: a warning that everything else waits."""

    def test_once(self) -> None:
        """One warning for each call that takes so long, which names the function."""
        held = Held()
        loop = self.build(slow_after=10)
        loop.add(held, name="turtle")
        self.clock.advance(0)
        self.clock.advance(9.999)
        self.assertEqual(self.logged(LogLevel.warn), "")
        self.clock.pump([0.001, 10, 100])
        self.assertEqual(self.logged(LogLevel.warn).count("turtle has not finished yet"), 1)
        held.fire()
        self.trigger(loop)
        self.clock.advance(10)
        self.assertEqual(self.logged(LogLevel.warn).count("turtle has not finished yet"), 2)
        held.fire()

    def test_default(self) -> None:
        """Without saying anything the warning comes after 30 s."""
        held = Held()
        self.build(held)
        self.clock.advance(29.999)
        self.assertEqual(self.logged(LogLevel.warn), "")
        self.clock.advance(0.001)
        self.assertIn("Held has not finished yet", self.logged(LogLevel.warn))
        held.fire()

    def test_in_time(self) -> None:
        """A function that ends in time is not warned of, and leaves nothing scheduled."""
        held = Held()
        self.build(held, slow_after=10, timeout=20)
        held.fire()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.logged(LogLevel.warn), "")

    def test_all_of_it_counts(self) -> None:
        """What a function awaits by and by counts together."""
        held = Held()

        async def function() -> None:
            for _ in range(3):
                await held()

        self.build(function, slow_after=10)
        for _ in range(3):
            self.clock.advance(4)
            held.fire()
        self.assertEqual(self.logged(LogLevel.warn).count("has not finished yet"), 1)

    def test_submitted(self) -> None:
        """Submitted work is warned of, too."""
        loop, held = self.build(slow_after=10), Held()

        def turtle() -> Deferred[None]:
            return held()

        done = loop.submit(turtle)
        self.clock.advance(0)
        self.clock.advance(10)
        self.assertIn("turtle has not finished yet", self.logged(LogLevel.warn))
        held.fire("slowly")
        self.assertEqual(self.successResultOf(done), "slowly")


class TimeoutTests(LoopCase):
    """``timeout``: cancelled, logged as a timeout, and the loop goes on."""

    def assertTimesOut(self, function: Callable[[], object], error: type[Exception]) -> None:
        """At its timeout it is cancelled and logged with its name, and the next one is called."""
        other = self.scripted()
        loop = self.build()
        loop.add(function, name="turtle", timeout=3)
        loop.add(other)
        self.clock.advance(0)
        self.clock.advance(2.999)
        self.assertEqual((loop.active, other.calls), ("turtle", 0))
        self.clock.advance(0.001)
        self.assertEqual((loop.active, other.calls), (None, 1))
        self.assertEqual(len(self.flush(error)), 1)
        self.assertIn("turtle took more than 3.0 s", self.logged())
        self.assertIn("loop: turtle failed; it is tried again in 5 s", self.logged())
        self.assertEqual(list(loop.wakeups), [function])

    def test_deferred(self) -> None:
        """A Deferred is cancelled."""
        self.assertTimesOut(Held(), FunctionTimeout)

    def test_coroutine(self) -> None:
        """A coroutine has ``CancelledError`` thrown in where it awaits, and may clean up."""
        cleaned: list[str] = []

        async def function() -> None:
            try:
                await Deferred()
            except CancelledError:
                cleaned.append("caught")
                raise
            finally:
                cleaned.append("finally")

        self.assertTimesOut(function, FunctionTimeout)
        self.assertEqual(cleaned, ["caught", "finally"])

    def test_inline_callbacks(self) -> None:
        """So has a function decorated with ``inlineCallbacks``."""

        @inlineCallbacks
        def function() -> Any:
            yield Deferred()

        self.assertTimesOut(function, FunctionTimeout)

    def test_generator(self) -> None:
        """A generator has the Deferred cancelled that it yielded, and is closed."""
        closed: list[bool] = []

        def function() -> Iterator[Deferred[None]]:
            try:
                yield Deferred()
            finally:
                closed.append(True)

        self.assertTimesOut(function, FunctionTimeout)
        self.assertEqual(closed, [True])

    def test_generator_between_steps(self) -> None:
        """A generator that always has another step is closed between two."""
        closed: list[bool] = []

        def function() -> Iterator[Deferred[None]]:
            try:
                while True:
                    gate: Deferred[None] = Deferred()
                    self.clock.callLater(1, gate.callback, None)
                    yield gate
            finally:
                closed.append(True)

        self.build().add(function, timeout=2.5)
        self.clock.pump([0, 1, 1, 1])
        self.assertEqual(closed, [True])
        self.flush(FunctionTimeout)
        self.clock.advance(1)

    def test_of_the_loop(self) -> None:
        """The loop's ``timeout`` holds for functions that have none, and for submitted work."""
        slow, own = Held(), Held()
        loop = self.build(slow, timeout=2)
        self.clock.advance(2)
        self.assertEqual(len(self.flush(FunctionTimeout)), 1)
        done = loop.submit(Held())
        self.clock.advance(0)
        self.clock.advance(2)
        self.failureResultOf(done, FunctionTimeout)
        loop.add(own, timeout=4)
        self.clock.advance(0)
        self.clock.advance(2)
        self.assertEqual(loop.active, "Held")
        own.fire()

    def test_is_both_kinds_of_timeout(self) -> None:
        """The error is Python's ``TimeoutError`` and Twisted's."""
        self.assertTrue(issubclass(FunctionTimeout, TimeoutError))
        self.assertTrue(issubclass(FunctionTimeout, defer.TimeoutError))
