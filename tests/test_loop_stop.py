"""A stop is a stop: it fires when nothing of the loop is active, within its deadline."""

from twisted.application.service import Application, IService, MultiService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogLevel

from tests.loops import Boom, Held, LoopCase, Stubborn
from txdoorbell.loop import Loop, LoopStopped


class StopTests(LoopCase):
    """``stopService``, in each state of the loop."""

    def test_quiet(self) -> None:
        """A quiet loop stops at once; its sleepers are not woken."""
        function = self.scripted(0, None)
        loop = self.build(function)
        self.successResultOf(loop.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(100)
        self.assertEqual(function.calls, 1)

    def test_new(self) -> None:
        """A loop that was never started stops at once, and forgets its rings."""
        function = self.scripted()
        loop = Loop(self.clock)
        loop.add(function)
        loop.trigger()
        done = loop.submit(function)
        self.successResultOf(loop.stopService())
        self.failureResultOf(done, LoopStopped)
        self.assertTrue(loop.is_quiet())
        self.assertEqual(function.calls, 0)

    def test_due(self) -> None:
        """A loop that has been rung and has not begun stops at once, and does not begin."""
        function = self.scripted()
        loop = self.build(function)
        loop.trigger()
        self.successResultOf(loop.stopService())
        self.clock.advance(100)
        self.assertEqual(function.calls, 1)

    def test_waits_for_the_active(self) -> None:
        """The stop fires when the active function has ended; no other is called after it."""
        held, other = Held(), self.scripted()
        loop = self.build(held, other)
        stopping = loop.stopService()
        self.clock.advance(29.999)
        self.assertNoResult(stopping)
        self.assertFalse(loop.is_quiet())
        held.fire()
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual((other.calls, self.clock.getDelayedCalls()), (0, []))

    def test_deadline(self) -> None:
        """At ``stop_timeout`` what is active is cancelled and reported by name; that is all."""
        held = Held()
        loop = self.build(stop_timeout=7)
        loop.add(held, name="turtle")
        self.clock.advance(0)
        stopping = loop.stopService()
        self.clock.advance(6.999)
        self.assertNoResult(stopping)
        self.clock.advance(0.001)
        self.successResultOf(stopping)
        warning = "loop: turtle was still active 7.0 s after the stop; cancelling it"
        self.assertEqual(self.logged(LogLevel.warn), warning)
        self.assertEqual(self.logged(LogLevel.error), "")
        self.assertEqual((dict(loop.wakeups), self.clock.getDelayedCalls()), ({}, []))

    def test_no_patience(self) -> None:
        """With ``stop_timeout=0`` it is cancelled in the next turn."""
        held = Held()
        loop = self.build(held, stop_timeout=0)
        stopping = loop.stopService()
        self.clock.advance(0)
        self.successResultOf(stopping)

    def test_stubborn(self) -> None:
        """A function that ignores its cancellation is named and left behind: the stop fires."""
        stubborn = Stubborn()
        loop = self.build(stop_timeout=7)
        loop.add(stubborn, name="mule")
        self.clock.advance(0)
        stopping = loop.stopService()
        self.clock.advance(7)
        self.clock.advance(0.099)
        self.assertNoResult(stopping)
        self.clock.advance(0.001)
        self.successResultOf(stopping)
        self.assertIn("mule ignores its cancellation", self.logged(LogLevel.error))
        self.assertEqual((loop.active, loop.is_quiet()), ("mule", False))
        waiter = loop.when_quiet()
        self.assertNoResult(waiter)
        stubborn.fire(self.clock.seconds() + 60)
        self.successResultOf(waiter)
        self.assertEqual((dict(loop.wakeups), self.clock.getDelayedCalls()), ({}, []))

    def test_left_behind_fails(self) -> None:
        """When one that was left behind fails at last, that is logged with its name."""
        held = Held(lambda deferred: 1 / 0)
        loop = self.build(stop_timeout=7)
        loop.add(held, name="mule")
        self.clock.advance(0)
        loop.stopService()
        self.clock.pump([7, 0.1])
        held.pending.pop().errback(Boom())
        self.assertEqual(len(self.flush(Boom)), 1)
        self.assertIn("mule failed after its loop had stopped", self.logged())

    def test_error_while_stopping(self) -> None:
        """An error of the active function is logged also when the loop is stopping."""
        held = Held()
        loop = self.build(held)
        stopping = loop.stopService()
        held.pending.pop().errback(Boom())
        self.successResultOf(stopping)
        self.assertEqual(len(self.flush(Boom)), 1)
        self.assertIn("loop: Held failed; its loop stops", self.logged())
        self.assertEqual(dict(loop.wakeups), {})

    def test_slow_to_end(self) -> None:
        """A function that ends a little after its cancellation is not called stubborn."""
        ended: list[bool] = []

        async def function() -> None:
            try:
                await Deferred()
            finally:
                await deferLater(self.clock, 0.05)
                ended.append(True)

        loop = self.build(function, stop_timeout=7)
        stopping = loop.stopService()
        self.clock.pump([7, 0.05])
        self.successResultOf(stopping)
        self.assertEqual((ended, self.logged(LogLevel.error)), ([True], ""))

    def test_twice(self) -> None:
        """A second stop fires with the first; one of a stopped loop at once."""
        held = Held()
        loop = self.build(held)
        first, second = loop.stopService(), loop.stopService()
        self.assertNoResult(first)
        self.assertNoResult(second)
        held.fire()
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(loop.stopService())

    def test_its_deferred_is_cancelled(self) -> None:
        """Whoever gives up waiting for the stop does not disturb it."""
        held = Held()
        loop = self.build(held)
        impatient, patient = loop.stopService(), loop.stopService()
        impatient.cancel()
        self.failureResultOf(impatient, CancelledError)
        self.assertNoResult(patient)
        held.fire()
        self.successResultOf(patient)

    def test_from_inside(self) -> None:
        """A function may stop its loop: no other is called, and the stop fires when it returns."""
        stops: list[Deferred[None]] = []
        other = self.scripted()
        loop = Loop(self.clock)

        def function() -> float:
            stops.append(loop.stopService())
            self.assertNoResult(stops[0])
            return self.clock.seconds() + 60

        loop.add(function)
        loop.add(other)
        self.started(loop)
        self.successResultOf(stops[0])
        self.assertEqual((other.calls, self.clock.getDelayedCalls()), (0, []))

    def test_from_inside_a_coroutine(self) -> None:
        """So may a coroutine, before and after it has awaited something."""
        for early in (True, False):
            stops: list[Deferred[None]] = []
            held, loop = Held(), Loop(self.clock)

            async def function(
                early: bool = early,
                loop: Loop = loop,
                held: Held = held,
                stops: list[Deferred[None]] = stops,
            ) -> None:
                if early:
                    stops.append(loop.stopService())
                await held()
                if not early:
                    stops.append(loop.stopService())
                    await held()

            loop.add(function)
            self.started(loop)
            if not early:
                held.fire()
            self.assertNoResult(stops[0])
            held.fire()
            self.successResultOf(stops[0])

    def test_from_its_own_deferred(self) -> None:
        """A function that waits for its own loop's stop is cancelled at the deadline."""
        loop = Loop(self.clock)
        loop.add(loop.stopService)
        self.started(loop)
        self.assertFalse(loop.is_quiet())
        self.clock.advance(30)
        self.assertTrue(loop.is_quiet())

    def test_in_an_application(self) -> None:
        """Two loops with the names they come with live in one application."""
        application = Application("test")
        loops = [Loop(self.clock, name=name) for name in ("one", "two")]
        for loop in loops:
            loop.setServiceParent(application)
        service = IService(application)
        self.assertIsInstance(service, MultiService)
        service.startService()
        self.assertTrue(all(loop.running for loop in loops))
        self.clock.advance(0)
        self.successResultOf(service.stopService())
