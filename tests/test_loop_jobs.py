"""Work that is submitted: done once, in the loop, under the same one-at-a-time rule."""

from collections.abc import Callable, Generator
from typing import Any

from twisted.internet.defer import Deferred

from tests.loops import Boom, Held, LoopCase, noting
from txdoorbell import WORK_REMAINING
from txdoorbell.loop import Loop


class ResultTests(LoopCase):
    """What comes of submitted work."""

    def submitted(self, function: Callable[..., Any]) -> Deferred[Any]:
        """Return the Deferred of work that a quiet loop has had the time for."""
        self.loop = self.build()
        done = self.loop.submit(function)
        self.clock.advance(0)
        return done

    def test_result(self) -> None:
        """The Deferred has the function's result, whatever that is: it means nothing here."""
        for result in (7, None, True, "text", WORK_REMAINING, [1], float("nan")):
            self.assertIs(self.successResultOf(self.submitted(self.scripted(result))), result)
            self.assertEqual(dict(self.loop.wakeups), {})
            self.assertQuiet(self.loop)

    def test_arguments(self) -> None:
        """It is called with the arguments given, ``function`` and ``self`` among them."""
        loop = self.build()
        done = loop.submit(lambda *args, **kwargs: (args, kwargs), 1, function=2, self=3)
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(done), ((1,), {"function": 2, "self": 3}))

    def test_error(self) -> None:
        """The Deferred has the function's error, which is not logged; it is not tried again."""
        function = self.scripted(Boom())
        self.failureResultOf(self.submitted(function), Boom)
        self.clock.advance(1000)
        self.assertEqual((function.calls, self.logged()), (1, ""))
        self.failureResultOf(self.submitted(self.scripted(SystemExit())), SystemExit)

    def test_waited_for(self) -> None:
        """Coroutines and generators are run, Deferreds waited for; the result is theirs."""

        async def coroutine() -> str:
            return "coroutine"

        def generator() -> Generator[None, None, str]:
            yield
            return "generator"

        self.assertEqual(self.successResultOf(self.submitted(coroutine)), "coroutine")
        self.assertEqual(self.successResultOf(self.submitted(generator)), "generator")
        held = Held()
        done = self.submitted(held)
        self.assertNoResult(done)
        self.assertEqual(self.loop.active, "Held")
        held.fire("deferred")
        self.assertEqual(self.successResultOf(done), "deferred")

    def test_not_callable(self) -> None:
        """Something that can't be called is refused at once."""
        with self.assertRaisesRegex(TypeError, "must be callable, not 7"):
            self.build().submit(7)  # type: ignore[arg-type]

    def test_is_no_ring(self) -> None:
        """Submitted work calls no other function."""
        function = self.scripted()
        loop = self.build(function)
        loop.submit(self.scripted())
        self.clock.advance(0)
        self.assertEqual((function.calls, loop.rung), (1, 1))


class OrderTests(LoopCase):
    """When submitted work has its turn."""

    def test_one_at_a_time(self) -> None:
        """It waits for the active function, and the next function for it."""
        order: list[str] = []
        first, work = Held(), Held()
        loop = self.build(first, noting(order, "function"))
        loop.submit(work)
        self.clock.advance(0)
        self.assertEqual((work.calls, order), (0, []))
        first.fire()
        self.clock.advance(0)
        self.assertEqual((work.calls, order), (1, []))
        work.fire()
        self.clock.advance(0)
        self.assertEqual(order, ["function"])
        self.assertQuiet(loop)

    def test_priority(self) -> None:
        """The higher its priority, the sooner; of equals, the first that was submitted."""
        order: list[str] = []
        loop = self.build()
        for name, priority in {"low": -1, "a": 0, "high": 2, "b": 0}.items():
            loop.submit(noting(order, name), priority=priority)
        self.clock.advance(0)
        self.assertEqual(order, ["high", "a", "b", "low"])

    def test_takes_turns_with_functions(self) -> None:
        """Work and functions take turns: neither keeps the other waiting."""
        order: list[str] = []
        loop = self.build(*[noting(order, name) for name in "abc"])
        del order[:]
        loop.trigger()
        for name in "123456":
            loop.submit(noting(order, name))
        self.clock.advance(0)
        self.assertEqual("".join(order), "1a2b3c456")

    def test_endless_work(self) -> None:
        """Work that submits more work for ever does not keep a function from its turn."""
        loop = Loop(self.clock)
        function = self.scripted()

        def work() -> Deferred[None]:
            if function.calls < 3:
                loop.trigger()
                loop.submit(work)
            done: Deferred[None] = Deferred()
            self.clock.callLater(1, done.callback, None)
            return done

        loop.add(function)
        loop.submit(work)
        self.started(loop)
        self.clock.pump([1] * 10)
        self.assertEqual(function.calls, 3)
        self.assertQuiet(loop)

    def test_from_inside(self) -> None:
        """A function may submit work to its own loop; it is done after the function."""
        order: list[str] = []
        loop = Loop(self.clock)

        def function() -> None:
            loop.submit(noting(order, "work"))
            order.append("function")

        loop.add(function)
        self.started(loop)
        self.assertEqual(order, ["function", "work"])
        self.assertQuiet(loop)

    def test_waiting_for_it_from_inside(self) -> None:
        """A function that waits for work it submitted to its own loop waits for ever, until its
        timeout: one at a time holds.
        """
        loop = Loop(self.clock, timeout=3)
        loop.add(lambda: loop.submit(self.scripted()), retry=False)
        self.started(loop)
        self.assertFalse(loop.is_quiet())
        self.clock.advance(3)
        self.assertTrue(loop.is_quiet())
        self.assertEqual(len(self.flush(TimeoutError)), 1)

    def test_before_the_start(self) -> None:
        """Work submitted before the start is done after it."""
        loop = Loop(self.clock)
        done = loop.submit(self.scripted("done"))
        self.assertBusy(loop)
        self.clock.advance(100)
        self.assertNoResult(done)
        self.started(loop)
        self.assertEqual(self.successResultOf(done), "done")
