"""A crash stops a loop at once, and says what was left undone."""

from tests.loops import Held, LoopCase, Stubborn
from txdoorbell import WORK_REMAINING
from txdoorbell.loop import Loop, LoopStopped


class CrashTests(LoopCase):
    """``crash``, in each state of the loop."""

    def assertCrashed(self, loop: Loop) -> None:
        """Nothing of the loop is left, and no ring wakes it."""
        self.assertEqual((loop.running, self.clock.getDelayedCalls()), (0, []))
        self.assertTrue(loop.is_quiet())
        loop.trigger()
        self.clock.advance(1000)
        self.successResultOf(loop.stopService())

    def test_quiet(self) -> None:
        """A quiet loop leaves nothing undone; its sleepers sleep for ever."""
        function = self.scripted(0, None)
        loop = self.build(function)
        self.assertEqual(loop.crash(), [])
        self.assertCrashed(loop)
        self.assertEqual(function.calls, 1)

    def test_new(self) -> None:
        """A loop that was never started leaves undone what was rung."""
        function = self.scripted()
        loop = Loop(self.clock)
        loop.add(function)
        loop.trigger()
        self.assertEqual(loop.crash(), [function])
        self.assertCrashed(loop)

    def test_due(self) -> None:
        """A loop that was rung leaves undone, in their order, those who would have been called."""
        functions = [self.scripted(name=name) for name in "abc"]
        loop = self.build(*functions)
        loop.mute(functions[1])
        loop.trigger()
        self.assertEqual(loop.crash(), functions)
        self.assertCrashed(loop)

    def test_active(self) -> None:
        """The active function comes first, then those due, each once; it is cancelled."""
        early, held, late = self.scripted(), Held(), self.scripted()
        loop = self.build(early, held, late)
        loop.trigger()
        cancelled = held.pending[0]
        self.assertEqual(loop.crash(), [held, late, early])
        self.assertTrue(cancelled.called)
        self.assertCrashed(loop)
        self.assertEqual(self.logged(), "loop has stopped: trigger() is ignored")

    def test_work_remaining(self) -> None:
        """One that has work remaining has been left undone."""
        loop = self.build()
        work, held = self.scripted(WORK_REMAINING, None), Held()
        loop.add(work)
        loop.add(held)
        self.clock.advance(0)
        self.assertEqual(loop.crash(), [held, work])

    def test_removed(self) -> None:
        """One that was removed has not been left undone."""
        held, late = Held(), self.scripted()
        loop = self.build(held, late)
        loop.remove(late)
        self.assertEqual(loop.crash(), [held])

    def test_submitted(self) -> None:
        """Submitted work comes last, as often as it was submitted; its Deferreds fail."""
        work, held = self.scripted(), Held()
        loop = self.build(held)
        first, second = loop.submit(work), loop.submit(work)
        self.assertEqual(loop.crash(), [held, work, work])
        self.failureResultOf(first, LoopStopped)
        self.failureResultOf(second, LoopStopped)
        self.assertCrashed(loop)

    def test_submitted_and_active(self) -> None:
        """Submitted work that is active is cancelled; its Deferred fails, and once only."""
        for held in (Held(), Stubborn()):
            loop = self.build()
            done = loop.submit(held)
            self.clock.advance(0)
            self.assertEqual(loop.crash(), [held])
            self.failureResultOf(done, LoopStopped)
            if held.pending and not held.pending[-1].called:
                held.fire("too late")
            self.assertCrashed(loop)

    def test_stopping(self) -> None:
        """A crash ends a stop that waits."""
        held = Held()
        loop = self.build(held)
        stopping = loop.stopService()
        self.assertEqual(loop.crash(), [held])
        self.successResultOf(stopping)
        self.assertCrashed(loop)

    def test_restarting(self) -> None:
        """A crash ends a restart that waits: the loop does not begin anew."""
        held = Held()
        loop = self.build(held)
        stopping = loop.stopService()
        loop.startService()
        self.assertEqual(loop.crash(), [held])
        self.successResultOf(stopping)
        self.assertCrashed(loop)
        self.assertEqual(held.calls, 1)

    def test_twice(self) -> None:
        """A second crash has nothing to do."""
        stubborn = Stubborn()
        loop = self.build(stubborn)
        self.assertEqual(loop.crash(), [stubborn])
        self.assertEqual(loop.crash(), [])
        stubborn.fire()
        self.assertCrashed(loop)

    def test_tells_who_waits_for_quiet(self) -> None:
        """Whoever waits for the loop to be quiet is told."""
        loop = self.build(Held())
        waiter = loop.when_quiet()
        loop.crash()
        self.successResultOf(waiter)

    def test_restart(self) -> None:
        """A loop that is started after a crash runs everything once."""
        held, late = Held(), self.scripted()
        loop = self.build(held, late)
        loop.crash()
        loop.startService()
        self.clock.advance(0)
        self.assertEqual((held.calls, late.calls), (2, 0))
        held.pending.pop().callback(None)
        self.clock.advance(0)
        self.assertEqual(late.calls, 1)
        self.assertQuiet(loop)

    def test_restart_waits_for_what_goes_on(self) -> None:
        """Started again, a loop waits for what did not end by the crash."""
        stubborn, late = Stubborn(), self.scripted()
        loop = self.build(stubborn, late)
        loop.crash()
        loop.startService()
        self.clock.advance(100)
        self.assertEqual(late.calls, 0)
        self.assertEqual(loop.crash(), [stubborn, late])
        loop.startService()
        stubborn.fire()
        self.clock.advance(0)
        self.assertEqual((stubborn.cancelled, late.calls), (2, 0))
        stubborn.fire()
        self.clock.advance(0)
        self.assertEqual(late.calls, 1)
        self.assertQuiet(loop)
