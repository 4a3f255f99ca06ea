"""What a loop waits for: Deferreds, coroutines, awaitables and iterators, until they have ended."""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed

from tests.loops import Boom, Held, LoopCase, noting
from txdoorbell.loop import Loop


class DeferredTests(LoopCase):
    """Functions that return Deferreds."""

    def test_fired_already(self) -> None:
        """A Deferred that has fired costs no turn of the reactor: the next is called at once."""
        order: list[str] = []
        self.build(
            lambda: self.in_a_turn(order.append, "a turn"),
            noting(order, "first", lambda: succeed(None)),
            noting(order, "second", lambda: succeed(None)),
        )
        self.assertEqual(order, ["first", "second", "a turn"])

    def in_a_turn(self, function: Callable[..., object], *args: object) -> None:
        """Have a function called in the next turn of the reactor."""
        self.clock.callLater(0, function, *args)

    def test_many_fired_already(self) -> None:
        """Ten thousand of them in a row do not exhaust the stack."""
        loop = self.build()
        function = self.scripted(lambda: succeed(None))
        for _ in range(10_000):
            loop.add(partial(function))
        self.clock.advance(0)
        self.assertEqual(function.calls, 10_000)
        self.assertQuiet(loop)

    def test_failed_already(self) -> None:
        """A Deferred that has failed is an error like any other."""
        other = self.scripted()
        self.build(self.scripted(lambda: fail(Boom()), None), other)
        self.assertEqual((len(self.flush(Boom)), other.calls), (1, 1))

    def test_chained(self) -> None:
        """A Deferred that waits for another has ended when that has."""
        inner: Deferred[None] = Deferred()
        other = self.scripted()
        self.build(lambda: succeed(1).addCallback(lambda _: inner), other)
        self.assertEqual(other.calls, 0)
        inner.callback(None)
        self.clock.advance(0)
        self.assertEqual(other.calls, 1)

    def test_inline_callbacks(self) -> None:
        """Functions decorated with ``inlineCallbacks`` return Deferreds, as they always did."""
        gate: Deferred[float] = Deferred()

        @inlineCallbacks
        def function() -> Any:
            return (yield gate)

        loop = self.build(function)
        self.assertBusy(loop)
        gate.callback(self.clock.seconds() + 60)
        self.clock.advance(0)
        self.assertEqual(list(loop.wakeups), [function])

    def test_fired_by_another_function(self) -> None:
        """What a Deferred's other callbacks do comes to no harm."""
        pending: Deferred[int] = Deferred()
        seen: list[int] = []
        loop = self.build(lambda: pending.addCallback(seen.append))
        pending.callback(7)
        self.clock.advance(0)
        self.assertEqual(seen, [7])
        self.assertQuiet(loop)


class CoroutineTests(LoopCase):
    """Functions that are ``async def``."""

    def test_awaits(self) -> None:
        """A coroutine may await Deferreds, fired and not, one after the other."""
        held, other, steps = Held(), self.scripted(), []

        async def function() -> None:
            for _ in range(3):
                steps.append(await held())
                steps.append(await succeed("at once"))

        self.build(function, other)
        for number in range(3):
            self.assertEqual(other.calls, 0)
            held.fire(number)
        self.clock.advance(0)
        self.assertEqual(other.calls, 1)
        self.assertEqual(steps, [0, "at once", 1, "at once", 2, "at once"])

    def test_errors_are_thrown_in(self) -> None:
        """A Deferred that fails raises in the coroutine, which may handle that."""
        held, caught = Held(), []

        async def function() -> None:
            try:
                await held()
            except Boom as error:
                caught.append(error)
            await held()

        loop = self.build(function)
        held.pending.pop().errback(Boom("first"))
        self.assertEqual(len(caught), 1)
        self.assertBusy(loop)
        held.pending.pop().errback(Boom("second"))
        self.clock.advance(0)
        (failure,) = self.flush(Boom)
        self.assertEqual(str(failure.value), "second")
        self.assertIn("in function", failure.getTraceback())

    def test_context(self) -> None:
        """A coroutine keeps its own context variables, and changes nobody else's."""
        variable = ContextVar("variable", default="outside")
        held, seen = Held(), []

        async def function() -> None:
            variable.set("inside")
            await held()
            seen.append(variable.get())

        self.build(function, lambda: seen.append(variable.get()))
        held.fire()
        self.clock.advance(0)
        self.assertEqual(seen, ["inside", "outside"])

    def test_long_awaiting(self) -> None:
        """A coroutine that awaits ten thousand things does not exhaust the stack."""
        count = 0

        async def function() -> None:
            nonlocal count
            for _ in range(10_000):
                gate: Deferred[None] = Deferred()
                gate.callback(None)
                await gate
                later: Deferred[None] = Deferred()
                self.clock.callLater(0, later.callback, None)
                await later
                count += 1

        loop = self.build(function)
        self.assertEqual(count, 10_000)
        self.assertQuiet(loop)


class IteratorTests(LoopCase):
    """Functions that are generators, or return iterators."""

    def test_stepped(self) -> None:
        """A generator is stepped to its end, before the next function is called."""
        order: list[object] = []

        def function() -> Iterator[None]:
            for number in range(5):
                order.append(number)
                yield

        loop = self.build(function, lambda: order.append("next"))
        self.assertEqual(order, [0, 1, 2, 3, 4, "next"])
        self.assertQuiet(loop)

    def test_waits_for_what_it_yields(self) -> None:
        """A Deferred that a generator yields is waited for before its next step."""
        held, order = Held(), []

        def function() -> Iterator[Deferred[None]]:
            for number in range(3):
                order.append(number)
                yield held()

        loop = self.build(function)
        for number in range(3):
            self.assertEqual(order, list(range(number + 1)))
            held.fire()
            self.clock.advance(0)
        self.assertQuiet(loop)

    def test_what_it_yields_fails(self) -> None:
        """When a Deferred that it yielded fails, so has the generator, which is closed."""
        held, closed = Held(), []

        def function() -> Iterator[Deferred[None]]:
            try:
                yield held()
            finally:
                closed.append(True)

        loop = self.build(function)
        held.pending.pop().errback(Boom())
        self.clock.advance(0)
        self.assertEqual((len(self.flush(Boom)), closed), (1, [True]))
        self.assertEqual(list(loop.wakeups), [function])

    def test_raises(self) -> None:
        """An error of the generator is an error of the function, whatever its kind."""
        for error in (Boom, SystemExit, GeneratorExit):
            other = self.scripted()

            def function(error: type[BaseException] = error) -> Iterator[None]:
                yield
                raise error

            loop = self.build(function, other)
            self.assertEqual((len(self.flush(error)), other.calls), (1, 1))
            self.assertTrue(loop.is_quiet())

    def test_plain_iterator(self) -> None:
        """Any iterator will do; its items mean nothing, and its result is None."""
        items = iter([1, "text", None, True, succeed(self.clock.seconds() + 60)])
        loop = self.build(lambda: items)
        self.assertEqual(list(items), [])
        self.assertQuiet(loop)
        self.assertEqual(dict(loop.wakeups), {})

    def test_reactor_gets_its_turns(self) -> None:
        """However many steps there are, the reactor gets its turn between them."""
        turns: list[int] = []
        steps = 0

        def function() -> Iterator[None]:
            nonlocal steps
            self.clock.callLater(0, lambda: turns.append(steps))
            while not turns and steps < 10_000_000:
                steps += 1
                yield

        self.build(function)
        self.assertEqual(len(turns), 1)
        self.assertLess(turns[0], 10_000_000)

    def test_removed_from_inside(self) -> None:
        """A generator that removes itself is stepped to its end, and not called again."""
        loop = Loop(self.clock)
        steps: list[int] = []

        def function() -> Iterator[None]:
            loop.remove(function)
            for number in range(3):
                steps.append(number)
                yield

        loop.add(function)
        self.started(loop)
        self.trigger(loop)
        self.assertEqual(steps, [0, 1, 2])
        self.assertQuiet(loop)
