"""
What ``buildbot.util.loop`` of 2012 had, and its faults, which must not be here.

It is published no more, so there is nothing to run beside these tests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail

from tests.loops import Held, LoopCase
from txdoorbell import DelegateLoop, Loop, LoopBase, MultiServiceLoop


class NameTests(LoopCase):
    """The classes and methods of that module, by their names."""

    def test_loop(self) -> None:
        """``add``, ``remove`` and ``get_processors``; ``trigger`` runs all that are there."""
        first, second = self.scripted(name="first"), self.scripted(name="second")
        loop = self.build(first, second)
        self.assertEqual(list(loop.get_processors()), [first, second])
        loop.remove(second)
        self.trigger(loop)
        self.assertEqual((first.calls, second.calls), (2, 1))

    def test_subclass(self) -> None:
        """A subclass that says what ``get_processors`` returns runs that, and has ``loop_done``."""
        function = self.scripted()
        done = []

        class Own(LoopBase):
            def get_processors(self) -> Collection[Callable[..., object]]:
                return [function]

            def loop_done(self) -> None:
                done.append(function.calls)

        loop = self.started(Own(self.clock))
        self.trigger(loop)
        self.assertEqual((function.calls, done), (2, [1, 2]))

    def test_delegate_loop(self) -> None:
        """``DelegateLoop`` asks the function it was given for its processors."""
        functions = [self.scripted()]
        loop = self.started(DelegateLoop(self.clock, lambda: functions))
        functions.append(self.scripted())
        self.trigger(loop)
        self.assertEqual([function.calls for function in functions], [2, 1])

    def test_multi_service_loop(self) -> None:
        """``MultiServiceLoop`` calls ``run`` of its child services."""
        calls = []

        class Scheduler(Service):
            def run(self) -> None:
                calls.append(self.running)

        loop = MultiServiceLoop(self.clock)
        Scheduler().setServiceParent(loop)
        self.started(loop)
        self.trigger(loop)
        self.assertEqual(calls, [1, 1])

    def test_quiet(self) -> None:
        """``is_quiet`` and ``when_quiet`` say when nothing runs and nothing is to be run."""
        held = Held()
        loop = self.build(held)
        self.assertFalse(loop.is_quiet())
        quiet = loop.when_quiet()
        self.assertNoResult(quiet)
        held.fire()
        self.clock.advance(0)
        self.successResultOf(quiet)
        self.assertTrue(loop.is_quiet())

    def test_quiet_while_it_sleeps(self) -> None:
        """A pending wake-up does not keep ``when_quiet`` waiting, as it did for ever."""
        loop = self.build(self.scripted(self.clock.seconds() + 3600))
        self.successResultOf(loop.when_quiet())

    def test_wake_up(self) -> None:
        """A processor that returns a time runs then, and 5 seconds later at the soonest."""
        function = self.scripted(self.clock.seconds() + 1, self.clock.seconds() + 60, None)
        self.build(function)
        self.clock.pump([4.9, 0.1, 54.9, 0.1])
        self.assertEqual([at - function.times[0] for at in function.times], [0, 5, 60])

    def test_error(self) -> None:
        """An error goes to ``log.err``, of a Deferred too; the processors after it run."""
        last = self.scripted()
        self.build(self.scripted(KeyError(1)), lambda: fail(KeyError(2)), last)
        self.assertEqual(len(self.flush(KeyError)), 2)
        self.assertEqual(last.calls, 1)

    def test_trigger_during_a_run(self) -> None:
        """A ``trigger`` during a run causes one more run, however many they are."""
        held = Held()
        loop = self.build(held)
        for _ in range(3):
            self.trigger(loop)
        for _ in range(2):
            held.fire()
            self.clock.advance(0)
        self.assertEqual(held.calls, 2)
        self.assertTrue(loop.is_quiet())


class FaultTests(LoopCase):
    """What went wrong there, one test for each."""

    def test_a_time_that_is_past(self) -> None:
        """A past time raised an assertion and the wake-up was lost; here it means in 5 seconds."""
        function = self.scripted(self.clock.seconds() - 1, None)
        self.build(function)
        self.clock.advance(5)
        self.assertEqual(function.calls, 2)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_true_is_no_time(self) -> None:
        """True was taken for the time 1; here it is an error that names the processor."""
        self.build(self.scripted(True, None, name="start_builds"))
        (error,) = self.flush(TypeError)
        self.assertIn("start_builds returned True", error.getErrorMessage())

    def test_a_trigger_before_the_start(self) -> None:
        """It was dropped; here it is remembered, and covered by the first run."""
        function = self.scripted()
        loop = Loop(self.clock)
        loop.add(function)
        loop.trigger()
        self.started(loop)
        self.assertEqual(function.calls, 1)
        self.assertQuiet(loop)

    def test_stopped_and_started_again(self) -> None:
        """It stayed dead; here everything runs at each start, and each ring after it."""
        function = self.scripted()
        loop = self.build(function)
        self.successResultOf(loop.stopService())
        loop.startService()
        self.clock.advance(0)
        self.assertEqual(function.calls, 2)
        self.trigger(loop)
        self.assertEqual(function.calls, 3)

    def test_stopped_and_started_again_in_a_run(self) -> None:
        """So it is when the stop still waits for a processor."""
        held = Held()
        loop = self.build(held)
        stopping = loop.stopService()
        loop.startService()
        held.fire()
        self.clock.advance(0)
        self.successResultOf(stopping)
        self.assertEqual(held.calls, 2)

    def test_the_stop_waits(self) -> None:
        """``stopService`` did not wait for the processor in flight; here it does."""
        held, later = Held(), self.scripted()
        loop = self.build(held, later)
        stopping = loop.stopService()
        self.assertNoResult(stopping)
        held.fire()
        self.clock.advance(0)
        self.successResultOf(stopping)
        self.assertEqual(later.calls, 0)

    def test_failed_and_retried(self) -> None:
        """A processor that failed lost its timer; here it is tried again."""
        wake = self.clock.seconds() + 3600
        function = self.scripted(wake, KeyError("database is away"), wake)
        loop = self.build(function)
        self.trigger(loop)
        self.assertEqual(len(self.flush(KeyError)), 1)
        self.clock.advance(5)
        self.assertEqual((function.calls, dict(loop.wakeups)), (3, {function: wake}))

    def test_failed_and_not_retried(self) -> None:
        """With ``retry=False`` it keeps the timer that it had."""
        wake = self.clock.seconds() + 3600
        function = self.scripted(wake, KeyError("database is away"), None)
        loop = self.build(function, retry=False)
        self.trigger(loop)
        self.assertEqual(len(self.flush(KeyError)), 1)
        self.clock.advance(3599)
        self.assertEqual(function.calls, 2)
        self.clock.advance(1)
        self.assertEqual(function.calls, 3)

    def test_one_that_hangs(self) -> None:
        """One that never finished stopped everything for ever; here a timeout ends it."""
        hanging: Deferred[None] = Deferred()
        other = self.scripted()
        loop = self.build()
        loop.add(lambda: hanging, name="hanging", timeout=60, retry=False)
        loop.add(other)
        self.clock.pump([0, 60, 0])
        self.assertEqual(other.calls, 1)
        self.assertEqual(len(self.flush(TimeoutError)), 1)
