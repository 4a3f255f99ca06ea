"""An error stops nobody else: it is logged with the function's name, and tried again."""

from itertools import pairwise
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from tests.loops import Boom, Held, LoopCase, Scripted
from txdoorbell.loop import Loop
from txdoorbell.loops.results import retry_delay


class ErrorTests(LoopCase):
    """What becomes of an error."""

    def test_logged_and_the_others_run(self) -> None:
        """The error goes to ``log.err`` with the function's name; the next function is called."""
        other = self.scripted()
        self.build(self.scripted(Boom("hello"), None, name="bad_job"), other)
        (failure,) = self.flush(Boom)
        self.assertEqual((str(failure.value), other.calls), ("hello", 1))
        self.assertIn("loop: bad_job failed; it is tried again in 5 s", self.logged())

    def test_names(self) -> None:
        """The name is the one given in ``add``, or the function's own; the loop's comes first."""
        loop = self.build(name="billing")
        loop.add(self.scripted(Boom(), None), name="invoices")
        loop.add(NamesTheirFault().method)
        self.clock.advance(0)
        self.assertIn("billing: invoices failed", self.logged())
        self.assertIn("billing: NamesTheirFault.method failed", self.logged())
        self.assertEqual(len(self.flush(Boom)), 2)

    def test_every_kind_of_exception(self) -> None:
        """A function that would end the program stops nobody, and does not make the loop deaf."""
        for error in (SystemExit(1), KeyboardInterrupt(), GeneratorExit(), CancelledError()):
            with self.subTest(repr(error)):
                failing, other = self.scripted(error, None), self.scripted()
                loop = self.build(failing, other)
                self.assertEqual(len(self.flush(type(error))), 1)
                self.trigger(loop)
                self.assertEqual((failing.calls, other.calls), (2, 2))
                self.assertQuiet(loop)

    def test_base_exceptions_by_other_ways(self) -> None:
        """Nor do coroutines, generators and Deferreds that fail with such."""

        async def coroutine() -> None:
            raise SystemExit

        def generator() -> Any:
            yield
            raise KeyboardInterrupt

        def deferred() -> Deferred[Any]:
            pending: Deferred[Any] = Deferred()
            self.clock.callLater(0, pending.errback, SystemExit())
            return pending

        other = self.scripted()
        loop = self.build(coroutine, generator, deferred, other)
        self.assertEqual((len(self.flush(SystemExit, KeyboardInterrupt)), other.calls), (3, 1))
        self.assertQuiet(loop)

    def test_stop_iteration(self) -> None:
        """A function that raises StopIteration has failed like any other."""
        other = self.scripted()
        self.build(self.scripted(StopIteration(), None), other)
        self.assertEqual((len(self.flush(StopIteration)), other.calls), (1, 1))

    def test_wrong_arguments(self) -> None:
        """A function that can't be called without arguments fails, and stops nobody."""
        other = self.scripted()
        self.build(lambda needed: None, other)
        self.assertEqual((len(self.flush(TypeError)), other.calls), (1, 1))


class RetryTests(LoopCase):
    """When a function that failed is tried again."""

    def assertGaps(self, function: Scripted, *gaps: float) -> None:
        """These are the seconds between its calls."""
        found = [later - earlier for earlier, later in pairwise(function.times)]
        self.assertEqual(found, list(gaps))

    def test_growing_delay(self) -> None:
        """It is tried again after 5 s, 10, 20 and so on, up to 5 minutes."""
        function = self.scripted(Boom())
        self.build(function)
        self.clock.pump([2.5] * 600)
        self.assertGaps(function, 5, 10, 20, 40, 80, 160, 300, 300, 300)
        self.flush(Boom)

    def test_at_the_boundary(self) -> None:
        """It is not tried again 4.999 s after the error, and is at 5."""
        function = self.scripted(Boom(), None)
        loop = self.build(function)
        self.assertEqual(dict(loop.wakeups), {function: self.clock.seconds() + 5})
        self.clock.advance(4.999)
        self.assertEqual(function.calls, 1)
        self.clock.advance(0.001)
        self.assertEqual(function.calls, 2)
        self.flush(Boom)

    def test_reset_by_a_success(self) -> None:
        """A success, of whichever kind, makes the next delay 5 s again."""
        kinds = [None, 0, self.done, lambda: self.clock.seconds() - 1]
        for success in kinds:
            function = self.scripted(Boom(), Boom(), success, Boom(), None)
            loop = self.build(function)
            self.clock.pump([5, 10])
            self.trigger(loop)
            self.clock.pump([4.999, 0.001])
            self.assertEqual(function.calls, 5)
            self.flush(Boom)

    async def done(self) -> None:
        """Do nothing, late."""

    def test_rung_meanwhile(self) -> None:
        """A function that waits for its next try is called at once when it is rung."""
        function = self.scripted(Boom(), Boom(), None)
        loop = self.build(function)
        self.clock.advance(1)
        self.trigger(loop)
        self.assertEqual(loop.wakeups[function], self.clock.seconds() + 10)
        self.clock.advance(10)
        self.assertGaps(function, 1, 10)
        self.flush(Boom)

    def test_other_minimum_delay(self) -> None:
        """The first delay is the loop's ``minimum_delay``; without one it still grows."""
        function = self.scripted(Boom())
        self.build(function, minimum_delay=50)
        self.clock.pump([50] * 24)
        self.assertGaps(function, 50, 100, 200, 300, 300)
        hasty = self.scripted(Boom())
        self.build(hasty, minimum_delay=0)
        self.clock.pump([0.01] * 200)
        self.assertEqual(hasty.calls, 6)
        self.flush(Boom)

    def test_delays(self) -> None:
        """The delay is never less than the minimum, and never overflows."""
        self.assertEqual(retry_delay(1, 600.0), 600.0)
        self.assertEqual(retry_delay(10**9, 5.0), 300.0)
        self.assertEqual(retry_delay(1, 0.0), 0.05)

    def test_no_retry(self) -> None:
        """With ``retry=False`` an error is only logged: the next ring calls the function."""
        function = self.scripted(Boom(), None, name="once")
        loop = self.build()
        loop.add(function, retry=False)
        self.clock.advance(0)
        self.assertIn("once failed; it waits for the next ring", self.logged())
        self.clock.advance(1000)
        self.assertEqual((function.calls, dict(loop.wakeups)), (1, {}))
        self.trigger(loop)
        self.assertEqual(function.calls, 2)
        self.flush(Boom)

    def test_no_retry_keeps_the_wakeup(self) -> None:
        """A sleeper that is rung and fails, without retry, is woken at its time all the same."""
        at = self.clock.seconds() + 60
        function = self.scripted(at, Boom(), None, name="sleeper")
        loop = self.build(function, retry=False)
        self.trigger(loop)
        self.assertEqual(dict(loop.wakeups), {function: at})
        self.assertIn("sleeper failed; it keeps its wake-up", self.logged())
        self.clock.advance(60)
        self.assertEqual((function.calls, dict(loop.wakeups)), (3, {}))
        self.flush(Boom)

    def test_no_retry_of_a_wakeup(self) -> None:
        """One that fails when its own time has come is not called again for that."""
        function = self.scripted(self.clock.seconds() + 60, Boom(), None)
        loop = self.build(function, retry=False)
        self.clock.pump([60, 1000])
        self.assertEqual((function.calls, dict(loop.wakeups)), (2, {}))
        self.flush(Boom)

    def test_the_function_over_the_loop(self) -> None:
        """``retry`` in ``add`` goes before that of the loop."""
        function = self.scripted(Boom(), None)
        loop = self.build(retry=False)
        loop.add(function, retry=True)
        self.clock.advance(0)
        self.clock.advance(5)
        self.assertEqual(function.calls, 2)
        self.flush(Boom)

    def test_removed_before_the_next_try(self) -> None:
        """A function that is removed is not tried again, and leaves nothing scheduled."""
        function = self.scripted(Boom())
        loop = self.build(function)
        loop.remove(function)
        self.assertEqual((dict(loop.wakeups), self.clock.getDelayedCalls()), ({}, []))
        self.clock.advance(1000)
        self.assertEqual(function.calls, 1)
        self.flush(Boom)

    def test_removed_while_it_fails(self) -> None:
        """A function that is removed while it is active has its error logged, and no more."""
        held = Held()
        loop = Loop(self.clock)
        loop.add(held, name="gone")
        self.started(loop)
        loop.remove(held)
        held.pending.pop().errback(Boom())
        self.clock.advance(1000)
        self.assertIn("gone failed; it had been removed", self.logged())
        self.assertEqual((held.calls, dict(loop.wakeups)), (1, {}))
        self.flush(Boom)

    def test_removed_while_it_sleeps_in(self) -> None:
        """A function that is removed while it is active is not woken at the time it returns."""
        held = Held()
        loop = self.build(held)
        loop.remove(held)
        held.fire(self.clock.seconds() + 60)
        self.clock.advance(0)
        self.assertEqual((dict(loop.wakeups), self.clock.getDelayedCalls()), ({}, []))


class NamesTheirFault:
    """A class with a method that fails."""

    def method(self) -> None:
        """Fail."""
        raise Boom
