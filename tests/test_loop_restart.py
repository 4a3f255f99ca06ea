"""A loop that is stopped and started again is as good as new."""

from twisted.logger import LogLevel

from tests.loops import Held, LoopCase, Stubborn
from txdoorbell.loop import Loop


class RestartTests(LoopCase):
    """A loop that is started again."""

    def test_runs_all(self) -> None:
        """A stopped loop that is started again runs everything once, and is no less alive."""
        function = self.scripted(0, 0, None)
        loop = self.build(function)
        loop.stopService()
        loop.startService()
        self.clock.advance(0)
        self.assertEqual(function.calls, 2)
        self.clock.advance(5)
        self.assertEqual(function.calls, 3)
        self.trigger(loop)
        self.assertEqual(function.calls, 4)

    def test_start_twice(self) -> None:
        """Starting a running loop changes nothing."""
        held = Held()
        loop = self.build(held)
        loop.startService()
        held.fire()
        self.clock.advance(0)
        loop.startService()
        self.clock.advance(0)
        self.assertEqual(held.calls, 1)

    def test_while_stopping(self) -> None:
        """Started while it stops, it finishes the active function, fires, and begins anew."""
        held = Held()
        loop = self.build(held)
        stopping = loop.stopService()
        loop.startService()
        self.clock.advance(0)
        self.assertNoResult(stopping)
        self.assertEqual(held.calls, 1)
        held.fire()
        self.successResultOf(stopping)
        self.clock.advance(0)
        self.assertEqual(held.calls, 2)
        held.fire()
        self.clock.advance(0)
        self.assertQuiet(loop)

    def test_stop_start_stop(self) -> None:
        """The last word counts: stopped, started and stopped again while active is stopped."""
        held = Held()
        loop = self.build(held)
        first = loop.stopService()
        loop.startService()
        second = loop.stopService()
        held.fire()
        self.successResultOf(first)
        self.successResultOf(second)
        self.clock.advance(100)
        self.assertEqual((held.calls, loop.running), (1, 0))

    def test_stopped_again_by_who_is_told(self) -> None:
        """Stopped again by the one who waited for the stop, it does not run on unseen."""
        held = Held()
        loop = self.build(held)
        stopping = loop.stopService()
        stopping.addCallback(lambda _: loop.stopService())
        loop.startService()
        held.fire()
        self.successResultOf(stopping)
        self.clock.advance(100)
        self.assertEqual((held.calls, self.clock.getDelayedCalls()), (1, []))

    def test_deadline_of_a_restart(self) -> None:
        """A restart does not lengthen the stop: at its deadline the old call is cancelled."""
        held = Held()
        loop = self.build(held, stop_timeout=7)
        stopping = loop.stopService()
        self.clock.advance(5)
        loop.startService()
        self.clock.advance(2)
        self.successResultOf(stopping)
        self.assertEqual(held.calls, 2)
        held.pending.pop().callback(None)

    def test_left_behind(self) -> None:
        """Started anew, a loop waits for what its stop left behind: one at a time holds."""
        stubborn, other = Stubborn(), self.scripted()
        loop = self.build(stop_timeout=7)
        loop.add(stubborn, name="mule")
        loop.add(other)
        self.clock.advance(0)
        loop.stopService()
        self.clock.pump([7, 0.1])
        loop.startService()
        self.clock.advance(100)
        self.assertEqual((len(stubborn.pending), other.calls), (2, 0))
        self.assertIn("loop starts anew, and waits for mule", self.logged(LogLevel.warn))
        stubborn.fire(self.clock.seconds() + 10)
        self.clock.advance(0)
        self.assertEqual((len(stubborn.pending), other.calls), (2, 0))
        stubborn.fire()
        self.clock.advance(0)
        self.assertEqual(other.calls, 1)
        self.assertQuiet(loop)

    def test_left_behind_twice(self) -> None:
        """What was left behind once has the same deadline at the next stop."""
        stubborn = Stubborn()
        loop = self.build(stubborn, stop_timeout=7)
        for _ in range(3):
            stopping = loop.stopService()
            self.clock.pump([7, 0.1])
            self.successResultOf(stopping)
            loop.startService()
        self.assertEqual(stubborn.cancelled, 3)
        stubborn.fire()
        self.clock.advance(0)
        stubborn.fire()

    def test_restart_in_a_function(self) -> None:
        """A function that stops and starts its own loop is called again by the new start."""
        loop = Loop(self.clock)

        def restart() -> None:
            loop.stopService()
            loop.startService()

        function = self.scripted(restart, None)
        loop.add(function)
        self.started(loop)
        self.assertEqual(function.calls, 2)
        self.assertQuiet(loop)
