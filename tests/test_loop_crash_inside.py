"""A function that crashes its own loop, and perhaps starts it again."""

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks

from tests.loops import Boom, Held, LoopCase, Stubborn, noting
from txdoorbell.loop import Loop, LoopStopped


class FromInsideTests(LoopCase):
    """A function that crashes its own loop, and perhaps starts it again."""

    def setUp(self) -> None:
        """Make a loop that the functions crash."""
        super().setUp()
        self.loop = Loop(self.clock)
        self.other = self.scripted()

    def run_first(self, function: Any) -> None:
        """Start the loop with this function, and another after it."""
        self.loop.add(function)
        self.loop.add(self.other)
        self.started(self.loop)

    def crash(self) -> bool:
        """Crash the loop; the functions that it would have called are undone. Return False."""
        self.assertEqual(self.loop.crash()[-1], self.other)
        return False

    def crash_and_start(self) -> None:
        """Crash the loop the first time that this is called, and start it again."""
        if not self.logged():
            self.crash()
            self.loop.startService()

    def test_plain(self) -> None:
        """A plain function that crashes its loop is the last to be called."""
        self.run_first(noting([], "", self.crash))
        self.clock.advance(1000)
        self.assertEqual((self.other.calls, self.loop.is_quiet()), (0, True))

    def test_error_after_it(self) -> None:
        """Its error is logged all the same."""

        def function() -> None:
            self.crash()
            raise Boom

        self.run_first(function)
        self.assertEqual(len(self.flush(Boom)), 1)
        self.assertIn("failed after its loop had stopped", self.logged())

    def test_returns_something_to_wait_for(self) -> None:
        """What it returns is not begun, or cancelled, and not waited for."""
        begun: list[str] = []
        pending: Deferred[None] = Deferred()

        async def coroutine() -> None:
            begun.append("coroutine")

        def generator() -> Iterator[None]:
            begun.append("generator")
            yield

        for result in (lambda: pending, coroutine, generator):
            loop = Loop(self.clock)
            loop.add(lambda loop=loop, result=result: loop.crash() and result())
            self.started(loop)
            self.assertEqual((begun, loop.is_quiet()), ([], True))
        self.assertTrue(pending.called)

    def test_its_deferred_fails(self) -> None:
        """When the Deferred that it returns has failed otherwise, that is logged."""
        held = Held(lambda deferred: deferred.errback(Boom()))
        self.run_first(lambda: self.crash() or held())
        self.assertEqual(len(self.flush(Boom)), 1)

    def test_coroutine(self) -> None:
        """A coroutine that crashes its loop is cancelled at what it awaits next."""
        for awaits in (0, 1):
            caught: list[str] = []
            loop, held = Loop(self.clock), Held()

            async def function(
                loop: Loop = loop, held: Held = held, n: int = awaits, caught: list[str] = caught
            ) -> None:
                for _ in range(n):
                    await held()
                loop.crash()
                caught.append("goes on")
                try:
                    await held()
                except CancelledError:
                    caught.append("cancelled")
                    raise

            loop.add(function)
            self.started(loop)
            for _ in range(awaits):
                held.fire()
            self.assertEqual(caught, ["goes on", "cancelled"])
            self.assertTrue(loop.is_quiet())
        self.assertEqual(self.logged(), "")

    def test_inline_callbacks(self) -> None:
        """So is a function decorated with ``inlineCallbacks``, where it can be."""
        caught: list[str] = []

        @inlineCallbacks
        def function() -> Any:
            self.crash()
            try:
                yield Deferred()
            except CancelledError:
                caught.append("cancelled")
                raise

        self.run_first(function)
        self.assertEqual((caught, self.loop.is_quiet()), (["cancelled"], True))

    def test_generator(self) -> None:
        """A generator that crashes its loop is closed at its next step, whatever that yields."""
        held = Held()
        for yields in (None, held()):
            closed: list[bool] = []
            loop = Loop(self.clock)

            def function(
                loop: Loop = loop, yields: object = yields, closed: list[bool] = closed
            ) -> Iterator[object]:
                try:
                    yield None
                    loop.crash()
                    yield yields
                    self.fail("it was closed")
                finally:
                    closed.append(True)

            loop.add(function)
            self.started(loop)
            self.assertEqual((closed, loop.is_quiet()), ([True], True))
        self.assertEqual(self.logged(), "")

    def test_submitted(self) -> None:
        """Submitted work may crash its loop: its Deferred fails."""
        self.run_first(self.scripted())
        done = self.loop.submit(lambda: self.loop.crash() and "result")
        self.clock.advance(0)
        self.failureResultOf(done, LoopStopped)

    def test_start_again(self) -> None:
        """Crashed and started again from inside, the loop begins anew when the call has ended."""
        order: list[str] = []

        def function() -> float:
            order.append("begins")
            self.crash_and_start()
            order.append("ends")
            return 7

        self.run_first(function)
        self.assertEqual(order, ["begins", "ends"] * 2)
        self.assertEqual(self.other.calls, 1)
        self.assertQuiet(self.loop)

    def test_start_again_in_a_coroutine(self) -> None:
        """So it does when a coroutine goes on for a while, catching its cancellation."""
        stubborn, order = Stubborn(), []

        async def function() -> None:
            order.append("begins")
            self.crash_and_start()
            if len(order) == 1:
                await stubborn()
            order.append("ends")

        self.run_first(function)
        self.assertEqual((order, self.other.calls), (["begins"], 0))
        stubborn.fire()
        self.clock.advance(0)
        self.assertEqual(order, ["begins", "ends"] * 2)
        self.assertQuiet(self.loop)

    def test_start_again_in_a_generator(self) -> None:
        """So it does when a generator is closed for it."""
        order: list[str] = []

        def function() -> Iterator[None]:
            order.append("begins")
            self.crash_and_start()
            try:
                yield
            finally:
                order.append("ends")

        self.run_first(function)
        self.assertEqual(order, ["begins", "ends"] * 2)
        self.assertEqual(self.other.calls, 1)
        self.assertQuiet(self.loop)
