"""When a loop is quiet, and who is told."""

from twisted.internet.defer import Deferred

from tests.loops import Boom, Held, LoopCase
from txdoorbell.loop import Loop


class QuietTests(LoopCase):
    """``is_quiet`` and ``when_quiet``."""

    def test_new(self) -> None:
        """An empty loop that was never started is quiet; one with something to do is not."""
        loop = Loop(self.clock)
        self.assertQuiet(loop)
        loop.add(self.scripted())
        self.assertBusy(loop)
        self.started(loop)
        self.assertQuiet(loop)

    def test_due(self) -> None:
        """A loop that has been rung is not quiet, until the run is over."""
        loop = self.build(self.scripted())
        self.assertQuiet(loop)
        loop.trigger()
        self.assertBusy(loop)
        self.clock.advance(0)
        self.assertQuiet(loop)

    def test_inside(self) -> None:
        """Seen from inside a function, its loop is never quiet."""
        loop = Loop(self.clock)
        seen: list[bool] = []
        loop.add(lambda: seen.append(loop.is_quiet()))
        self.started(loop)
        self.assertEqual(seen, [False])

    def test_active(self) -> None:
        """A loop with an active function is not quiet, and says what is active."""
        held = Held()
        loop = self.build()
        self.assertIsNone(loop.active)
        loop.add(held, name="held")
        self.clock.advance(0)
        self.assertBusy(loop)
        self.assertEqual(loop.active, "held")
        held.fire()
        self.assertIsNone(loop.active)
        self.assertFalse(loop.is_quiet())
        self.clock.advance(0)
        self.assertQuiet(loop)

    def test_sleeping_is_quiet(self) -> None:
        """A loop whose functions all sleep until some time is quiet, and is not when it comes."""
        held = Held()
        loop = self.build(held)
        held.fire(self.clock.seconds() + 60)
        self.clock.advance(0)
        self.assertQuiet(loop)
        self.clock.advance(60)
        self.assertBusy(loop)
        held.fire()

    def test_fresh_for_each(self) -> None:
        """Each caller gets a Deferred of its own: what one does with it touches no other."""
        held = Held()
        loop = self.build(held)
        first, second = loop.when_quiet(), loop.when_quiet()
        first.addCallback(lambda _: 1 / 0)
        held.fire()
        self.clock.advance(0)
        self.failureResultOf(first, ZeroDivisionError)
        self.assertIsNone(self.successResultOf(second))

    def test_cancelled(self) -> None:
        """Whoever cancels its waiting is forgotten; the others are told."""
        held = Held()
        loop = self.build(held)
        first, second = loop.when_quiet(), loop.when_quiet()
        first.cancel()
        self.failureResultOf(first)
        held.fire()
        self.clock.advance(0)
        self.successResultOf(second)

    def test_consistent_when_told(self) -> None:
        """Whoever is told that the loop is quiet finds it so, also when another one rings it."""
        loop = self.build(self.scripted())
        loop.trigger()
        found: list[bool] = []
        first, second = loop.when_quiet(), loop.when_quiet()
        first.addCallback(lambda _: loop.trigger())
        second.addCallback(lambda _: found.append(loop.is_quiet()))
        self.clock.advance(0)
        self.assertEqual(found, [True])
        self.assertEqual(loop.rung, 3)

    def test_stop_tells(self) -> None:
        """A stop tells those who wait, also when the run was not finished."""
        held = Held()
        loop = self.build(held, self.scripted())
        waiter = loop.when_quiet()
        loop.stopService()
        self.assertNoResult(waiter)
        held.fire()
        self.successResultOf(waiter)

    def test_quiet_after_a_stop(self) -> None:
        """A stopped loop is quiet, whatever is added, unmuted or rung."""
        function = self.scripted()
        loop = self.build(function)
        loop.mute(function)
        self.trigger(loop)
        loop.stopService()
        loop.unmute(function)
        loop.add(self.scripted())
        loop.trigger()
        self.assertQuiet(loop)


class LoopDoneTests(LoopCase):
    """The hook that is called each time a loop has become quiet after a run."""

    def counting(self, hook: object = None) -> tuple[Loop, list[bool]]:
        """Return a started loop with one function, and its calls of the hook: was it quiet?"""
        calls: list[bool] = []

        class Counting(Loop):
            def loop_done(self) -> None:
                calls.append(self.is_quiet())
                if callable(hook):
                    hook(self)

        loop = Counting(self.clock)
        loop.add(self.scripted())
        return self.started(loop), calls

    def test_once_for_each_run(self) -> None:
        """It is called when the loop is quiet after a run, and at no other time."""
        loop, calls = self.counting()
        self.assertEqual(calls, [True])
        self.clock.advance(100)
        loop.submit(self.scripted())
        self.clock.advance(0)
        self.assertEqual(calls, [True])
        for _ in range(3):
            loop.trigger()
        self.clock.advance(0)
        self.assertEqual(calls, [True, True])

    def test_not_between_two_runs(self) -> None:
        """A run that is followed by another is not the end."""
        loop, calls = self.counting()
        rings = [loop.trigger, loop.trigger, None]
        loop.add(self.scripted(*rings))
        self.clock.advance(0)
        self.assertEqual(calls, [True, True])

    def test_before_the_waiters(self) -> None:
        """What the hook does has been done when ``when_quiet`` fires."""
        loop, calls = self.counting()
        loop.trigger()
        waiter = loop.when_quiet()
        waiter.addCallback(lambda _: len(calls))
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(waiter), 2)

    def test_triggers(self) -> None:
        """When the hook rings, the loop runs again, and ``when_quiet`` fires after that."""
        rings = [True, True, False]
        loop, calls = self.counting(lambda loop: rings.pop(0) and loop.trigger())
        self.assertEqual((len(calls), loop.rung), (3, 3))
        rings[:] = [True, False]
        loop.trigger()
        waiter = loop.when_quiet()
        waiter.addCallback(lambda _: (loop.is_quiet(), len(calls)))
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(waiter), (True, 5))

    def test_fails(self) -> None:
        """An error of the hook is logged, and stops nobody."""

        def fail(loop: Loop) -> None:
            raise Boom("done")

        loop, calls = self.counting(fail)
        loop.trigger()
        waiter = loop.when_quiet()
        self.clock.advance(0)
        self.successResultOf(waiter)
        self.assertEqual(len(calls), 2)
        self.assertEqual(len(self.flush(Boom)), 2)
        self.assertIn("loop: loop_done() failed", self.logged())

    def test_stops(self) -> None:
        """The hook may stop the loop."""
        stops: list[Deferred[None]] = []
        loop, calls = self.counting(lambda loop: stops.append(loop.stopService()))
        self.successResultOf(stops[0])
        self.assertFalse(loop.running)
        self.assertEqual(len(calls), 1)
