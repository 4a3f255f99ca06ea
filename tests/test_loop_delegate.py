"""Loops that ask for their functions, and what every loop has in common."""

from collections.abc import Callable, Collection
from functools import partial

from tests.loops import Boom, LoopCase, Scripted, noting
from txdoorbell.loop import DelegateLoop, Loop, LoopBase


class DelegateLoopTests(LoopCase):
    """A loop that asks for its functions at each run."""

    def setUp(self) -> None:
        """Make the list that the loop is given."""
        super().setUp()
        self.functions: list[Scripted] = []
        self.asked: list[Exception | None] = []
        self.asked_for: Callable[[], object] = list

    def get(self) -> Collection[Callable[..., object]]:
        """Return the functions, or fail as told."""
        self.asked_for()
        error = self.asked.pop() if self.asked else None
        if error is not None:
            raise error
        return list(self.functions)

    def delegate(self, **options: float) -> DelegateLoop:
        """Return a started loop with two functions."""
        self.functions[:] = [self.scripted(name="a"), self.scripted(name="b")]
        return self.started(DelegateLoop(self.clock, self.get, **options))

    def test_asked_at_each_run(self) -> None:
        """Whoever is returned when a run begins is called in it, in that order."""
        loop = self.delegate()
        first, second = self.functions
        self.functions[:] = [second]
        self.trigger(loop)
        self.assertEqual((first.calls, second.calls), (1, 2))
        third = self.scripted()
        self.functions[:] = [third, second]
        self.trigger(loop)
        self.assertEqual((first.calls, second.calls, third.calls), (1, 3, 1))
        self.assertQuiet(loop)

    def test_order(self) -> None:
        """They are called in the order in which they are returned, whichever it was before."""
        called: list[str] = []
        first, second, third = (noting(called, name) for name in "abc")
        listed = [first, second]
        loop = self.started(DelegateLoop(self.clock, lambda: listed))
        for order in ([second, first], [third, second, first], [first, third], [third, first]):
            listed[:] = order
            self.trigger(loop)
        self.assertEqual("".join(called), "ab" + "ba" + "cba" + "ac" + "ca")

    def test_order_of_those_that_wake(self) -> None:
        """Those whose time has come are called in that order too."""
        first, second = self.scripted(0, 0, None), self.scripted(0, 0, None)
        called: list[str] = []
        listed = [noting(called, "a", first), noting(called, "b", second)]
        self.started(DelegateLoop(self.clock, lambda: listed))
        listed.reverse()
        self.clock.pump([5, 5])
        self.assertEqual("".join(called), "ab" + "ba" + "ba")

    def test_sleepers(self) -> None:
        """A function that sleeps is woken, if it is still among them."""
        loop = self.delegate()
        stays, goes = self.scripted(0, None), self.scripted(0, None)
        self.functions[:] = [stays, goes]
        self.trigger(loop)
        self.functions.remove(goes)
        self.clock.advance(5)
        self.assertEqual((stays.calls, goes.calls, dict(loop.wakeups)), (2, 1, {}))

    def test_only_sleeper_goes(self) -> None:
        """When the one that was due is gone, the next ring asks again, like any other."""
        loop = self.delegate()
        goes, comes = self.scripted(0), self.scripted()
        self.functions[:] = [goes]
        self.trigger(loop)
        self.functions[:] = []
        self.clock.advance(5)
        self.assertEqual(goes.calls, 1)
        self.functions[:] = [comes]
        self.trigger(loop)
        self.assertEqual((goes.calls, comes.calls), (1, 1))
        self.assertQuiet(loop)

    def test_fails_and_recovers(self) -> None:
        """While it can't be told, those known run, and it is asked again after growing delays."""
        loop = self.delegate()
        first, second = self.functions
        third = self.scripted()
        self.functions.append(third)
        self.asked[:] = [None, Boom("2"), Boom("1")]
        self.trigger(loop)
        self.assertEqual((first.calls, second.calls, third.calls), (2, 2, 0))
        self.assertIn("loop.get_processors failed; it is tried again in 5 s", self.logged())
        self.clock.pump([4.999, 0.001])
        self.assertEqual(len(self.flush(Boom)), 2)
        self.clock.pump([9.999])
        self.assertEqual(third.calls, 0)
        self.clock.pump([0.001])
        self.assertEqual((first.calls, third.calls), (2, 1))
        self.clock.advance(1000)
        self.assertEqual((first.calls, third.calls), (2, 1))
        self.assertQuiet(loop)

    def test_its_own_retry_is_nobody_elses(self) -> None:
        """That the loop will ask again is not among the wake-ups, nor left undone in a crash."""
        loop = self.delegate()
        self.asked[:] = [Boom()]
        self.trigger(loop)
        self.assertEqual(dict(loop.wakeups), {})
        self.assertTrue(loop.is_quiet())
        self.assertEqual(loop.crash(), [])
        self.flush(Boom)

    def test_nonsense(self) -> None:
        """When nonsense is returned, that is logged, and the loop goes on with what it knows."""
        loop = DelegateLoop(self.clock, lambda: [known, 7])  # type: ignore[list-item]
        known = self.scripted()
        self.started(loop)
        self.assertEqual(known.calls, 1)
        self.assertIn("must be callable, not 7", str(self.flush(TypeError)[0].value))
        loop = DelegateLoop(self.clock, lambda: None)  # type: ignore[arg-type,return-value]
        self.started(loop)
        self.assertEqual(len(self.flush(TypeError)), 1)

    def test_rings_when_asked(self) -> None:
        """A ring by the one who is asked is served by the run that he is asked for."""
        loop = self.delegate()
        self.asked_for = loop.trigger
        self.trigger(loop)
        self.assertEqual([f.calls for f in self.functions], [2, 2])
        self.assertEqual(loop.rung, 3)
        self.assertQuiet(loop)

    def test_ends_when_asked(self) -> None:
        """The one who is asked may stop the loop, or crash it: nobody is called then."""
        for end in (LoopBase.stopService, LoopBase.crash):
            loop = self.delegate()
            self.asked_for = partial(end, loop)
            self.trigger(loop)
            self.assertEqual([f.calls for f in self.functions], [1, 1])
            self.assertTrue(loop.is_quiet())
            self.asked_for = list

    def test_mute(self) -> None:
        """Those that were asked for can be muted."""
        loop = self.delegate()
        loop.mute(self.functions[0])
        self.trigger(loop)
        self.assertEqual([f.calls for f in self.functions], [1, 2])

    def test_options(self) -> None:
        """It takes the options of every loop."""
        loop = self.delegate(minimum_delay=1.0)
        function = self.scripted(0, None)
        self.functions[:] = [function]
        self.trigger(loop)
        self.clock.advance(1)
        self.assertEqual(function.calls, 2)


class LoopBaseTests(LoopCase):
    """What a subclass must say."""

    def test_subclass(self) -> None:
        """A subclass says in ``get_processors`` which functions there are."""
        function = self.scripted()

        class Own(LoopBase):
            def get_processors(self) -> Collection[Callable[..., object]]:
                return [function]

        loop = self.started(Own(self.clock))
        self.trigger(loop)
        self.assertEqual(function.calls, 2)

    def test_says_nothing(self) -> None:
        """One that says nothing is told so in the log."""
        loop = self.started(LoopBase(self.clock))
        (failure,) = self.flush(NotImplementedError)
        self.assertIn("LoopBase must say what get_processors() returns", str(failure.value))
        self.assertTrue(loop.is_quiet())

    def test_bad_options(self) -> None:
        """A length of time that is none is refused by name, when the loop is made."""
        make: Callable[..., Loop] = partial(Loop, self.clock)
        for option in ("minimum_delay", "budget", "slow_after", "timeout", "stop_timeout"):
            for value in (-1, float("nan"), float("inf"), 10**400):
                with self.assertRaisesRegex(ValueError, option):
                    make(**{option: value})
            for thing in ("5", True, b"", [1]):
                with self.assertRaisesRegex(TypeError, option):
                    make(**{option: thing})
        for option in ("budget", "slow_after", "timeout"):
            with self.assertRaisesRegex(ValueError, f"{option} must be more than 0 seconds"):
                make(**{option: 0})
        make(minimum_delay=0, stop_timeout=0)
