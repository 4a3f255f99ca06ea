"""Functions that are added, removed, muted and unmuted, at any time."""

from collections.abc import Callable

from tests.loops import Boom, Held, LoopCase
from txdoorbell import WORK_REMAINING
from txdoorbell.loop import Loop


class LoopTests(LoopCase):
    """Functions that are added and removed, at any time."""

    def test_get_processors(self) -> None:
        """A loop tells its functions in the order in which they were added, as a copy."""
        functions = [self.scripted(), self.scripted()]
        loop = self.build(*functions)
        told = loop.get_processors()
        self.assertEqual(told, functions)
        loop.remove(functions[0])
        self.assertEqual((told, loop.get_processors()), (functions, functions[1:]))

    def test_add_twice(self) -> None:
        """Adding a function twice is adding it once: it is called once in each run."""
        function = self.scripted()
        loop = self.build(function, function)
        loop.add(function)
        self.clock.advance(0)
        self.assertEqual(function.calls, 1)
        loop.remove(function)
        with self.assertRaises(KeyError):
            loop.remove(function)

    def test_add_twice_with_other_options(self) -> None:
        """Adding it again with other options is refused, by name; the first ones hold."""
        loop = self.build(self.scripted())
        function = self.scripted(name="jobs")
        loop.add(function, channels="jobs")
        loop.add(function, channels=["jobs"])
        with self.assertRaisesRegex(ValueError, "jobs has been added already"):
            loop.add(function)
        self.assertEqual(loop.channels, {"jobs"})

    def test_bound_methods(self) -> None:
        """A method is known by being equal, so that it can be removed by its name."""
        held = Held()
        loop = self.build(held.__call__)
        loop.add(held.__call__)
        held.fire()
        self.clock.advance(0)
        loop.remove(held.__call__)
        self.trigger(loop)
        self.assertEqual(held.calls, 1)

    def test_add_to_a_running_loop(self) -> None:
        """One added to a running loop is due at once; no other is called for it."""
        old, new = self.scripted(), self.scripted()
        loop = self.build(old)
        loop.add(new)
        self.assertBusy(loop)
        self.clock.advance(0)
        self.assertEqual((old.calls, new.calls), (1, 1))

    def test_add_during_a_run(self) -> None:
        """One added in mid-run is called in the next run; nobody else is."""
        old, new = self.scripted(), self.scripted()
        loop = Loop(self.clock)
        loop.add(lambda: loop.add(new))
        loop.add(old)
        self.started(loop)
        self.assertEqual((old.calls, new.calls), (1, 1))
        self.assertQuiet(loop)

    def test_remove_during_a_run(self) -> None:
        """One removed in mid-run is not called again."""
        late = self.scripted()
        loop = Loop(self.clock)
        loop.add(self.scripted(lambda: loop.remove(late)))
        loop.add(late)
        self.started(loop)
        self.assertEqual(late.calls, 0)
        self.assertQuiet(loop)

    def test_remove_from_inside(self) -> None:
        """A function may remove itself, whatever it returns."""
        for result in (None, 0, Boom()):
            loop = Loop(self.clock)
            function = self.scripted(result)
            removing = Removing(loop, function)
            loop.add(removing)
            self.started(loop)
            self.clock.advance(1000)
            self.assertEqual((function.calls, dict(loop.wakeups)), (1, {}))
        self.flush(Boom)

    def test_remove_with_work_remaining(self) -> None:
        """One that has work remaining and is removed is neither called nor left undone."""
        loop = Loop(self.clock)
        work, undone = self.scripted(WORK_REMAINING), []

        def ending() -> None:
            loop.remove(work)
            undone.append(loop.crash())

        loop.add(work)
        loop.add(ending)
        self.started(loop)
        self.assertEqual((undone, work.calls), ([[ending]], 1))

    def test_remove_a_sleeper(self) -> None:
        """A sleeper that is removed is not woken, and leaves nothing scheduled."""
        sleeper, other = self.scripted(0), self.scripted(self.clock.seconds() + 60, None)
        loop = self.build(sleeper, other)
        loop.remove(sleeper)
        self.assertEqual(list(loop.wakeups), [other])
        self.clock.advance(60)
        self.assertEqual((sleeper.calls, other.calls), (1, 2))

    def test_remove_unknown(self) -> None:
        """Removing a function that was never added raises ``KeyError``."""
        with self.assertRaises(KeyError):
            self.build().remove(self.scripted())

    def test_many_come_and_go(self) -> None:
        """Of a thousand functions those that are removed in mid-run are not called, nor woken."""
        loop = self.build()
        functions = [self.scripted(0) for _ in range(1000)]
        for function in functions:
            loop.add(function)
        self.clock.advance(0)
        self.assertEqual(len(loop.wakeups), 1000)
        for function in functions[::2]:
            loop.remove(function)
        kept = functions[1::2]
        held = Held()
        loop.add(held, priority=1)
        loop.trigger()
        self.clock.advance(0)
        for function in kept[:-1]:
            loop.remove(function)
        held.fire()
        self.clock.advance(5)
        self.assertEqual([f.calls for f in kept[:-1]], [1] * 499)
        self.assertEqual((kept[-1].calls, list(loop.wakeups)), (2, [kept[-1]]))

    def test_mute(self) -> None:
        """A muted function is not called; unmuted, it is called if it was rung meanwhile."""
        function, other = self.scripted(), self.scripted()
        loop = self.build(function, other)
        loop.mute(function)
        loop.unmute(function)
        self.clock.advance(0)
        self.assertEqual(function.calls, 1)
        loop.mute(function)
        self.trigger(loop)
        self.assertEqual((function.calls, other.calls), (1, 2))
        self.assertQuiet(loop)
        loop.unmute(function)
        self.assertBusy(loop)
        self.clock.advance(0)
        self.assertEqual((function.calls, other.calls), (2, 2))
        loop.unmute(function)
        self.clock.advance(0)
        self.assertEqual(function.calls, 2)

    def test_mute_a_sleeper(self) -> None:
        """One whose time comes while it is muted is called when it is unmuted, and not before."""
        function = self.scripted(0, None)
        loop = self.build(function)
        loop.mute(function)
        self.clock.advance(4)
        loop.unmute(function)
        self.clock.advance(0)
        self.assertEqual(function.calls, 1)
        loop.mute(function)
        self.clock.advance(100)
        self.assertEqual(function.calls, 1)
        loop.unmute(function)
        self.clock.advance(0)
        self.assertEqual(function.calls, 2)

    def test_mute_in_mid_run(self) -> None:
        """One that is muted in mid-run, before its turn, is not called."""
        late = self.scripted()
        loop = Loop(self.clock)
        loop.add(lambda: loop.mute(late))
        loop.add(late)
        self.started(loop)
        self.assertEqual(late.calls, 0)
        loop.unmute(late)
        self.clock.advance(0)
        self.assertEqual(late.calls, 1)

    def test_mute_the_active(self) -> None:
        """One that is muted while it is active ends; what it was rung for waits."""
        held = Held()
        loop = self.build(held)
        loop.mute(held)
        loop.trigger()
        held.fire(WORK_REMAINING)
        self.clock.advance(0)
        self.assertEqual(held.calls, 1)
        self.assertQuiet(loop)
        loop.unmute(held)
        self.clock.advance(0)
        self.assertEqual(held.calls, 2)
        held.fire()

    def test_mute_unknown(self) -> None:
        """Muting or unmuting a function that is not there raises ``KeyError``."""
        loop = self.build()
        with self.assertRaises(KeyError):
            loop.mute(self.scripted())
        with self.assertRaises(KeyError):
            loop.unmute(self.scripted())


class Removing:
    """A function that removes itself from its loop before it does what it is for."""

    def __init__(self, loop: Loop, function: Callable[[], object]) -> None:
        self._loop = loop
        self._function = function

    def __call__(self) -> object:
        """Remove itself, and do it."""
        self._loop.remove(self)
        return self._function()
