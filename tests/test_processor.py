"""The options of a function, checked when it is added, and its time budget."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.loops import LoopCase
from txdoorbell.processor import Processor, TimeBudget, check_seconds, name_of


def jobs() -> None:
    """Do nothing."""


class Callable_:  # noqa: N801 - it is named in an error
    """An object that can be called."""

    def __call__(self) -> None:
        """Do nothing."""


class OptionTests(SynchronousTestCase):
    """What is refused, with the function's name in the text."""

    make: Callable[..., Processor] = Processor

    def test_not_callable(self) -> None:
        """What can't be called can't be added."""
        things: list[object] = [None, 7, "jobs", []]
        for thing in things:
            with self.assertRaisesRegex(TypeError, "must be callable, not"):
                Processor(thing)  # type: ignore[arg-type]

    def test_channels(self) -> None:
        """A channel that PostgreSQL would not take whole is refused, with the limit."""
        for bad, why in {"": "empty", "x" * 64: "limit of 63", "a\0b": "NUL"}.items():
            with self.assertRaisesRegex(ValueError, f"jobs: channel .*{why}"):
                Processor(jobs, channels=bad)
            with self.assertRaisesRegex(ValueError, why):
                Processor(jobs, channels=["good", bad])
        for wrong in (7, b"jobs", [b"jobs"], [None]):
            with self.assertRaisesRegex(TypeError, "jobs: "):
                Processor(jobs, channels=wrong)  # type: ignore[arg-type]

    def test_one_channel_or_several(self) -> None:
        """A str is one channel, not one for each of its letters; no channel is not all."""
        self.assertEqual(Processor(jobs, channels="mail").channels, {"mail"})
        self.assertEqual(Processor(jobs, channels=iter(["a", "b", "a"])).channels, {"a", "b"})
        self.assertEqual(Processor(jobs, channels=[]).channels, frozenset())
        self.assertIsNone(Processor(jobs).channels)

    def test_callables(self) -> None:
        """``interested`` and ``hint`` must be callable."""
        for option in ("interested", "hint"):
            with self.assertRaisesRegex(TypeError, f"jobs: {option} must be callable, not 'x'"):
                self.make(jobs, **{option: "x"})

    def test_seconds(self) -> None:
        """``timeout`` and ``budget`` are more than 0 seconds, and finite."""
        for option in ("timeout", "budget"):
            for value in (0, -1, float("nan"), float("inf"), 10**400):
                with self.assertRaisesRegex(ValueError, f"jobs: {option} must be more than 0"):
                    self.make(jobs, **{option: value})
            for wrong in ("5", True, [5]):
                with self.assertRaisesRegex(TypeError, f"jobs: {option} must be a number"):
                    self.make(jobs, **{option: wrong})
        self.assertEqual(Processor(jobs, timeout=7).timeout, 7.0)

    def test_priority(self) -> None:
        """``priority`` is an int."""
        for wrong in ("high", None, 1.5):
            with self.assertRaisesRegex(TypeError, "jobs: priority must be an int"):
                Processor(jobs, priority=wrong)  # type: ignore[arg-type]

    def test_names(self) -> None:
        """Every kind of callable has a name, unless it is given one."""
        self.assertEqual(name_of(jobs), "jobs")
        self.assertEqual(name_of(partial(jobs)), "jobs")
        self.assertEqual(name_of(Callable_().__call__), "Callable_.__call__")
        self.assertEqual(name_of(Callable_()), "Callable_")
        self.assertEqual(name_of(len), "len")
        self.assertEqual(Processor(jobs, name="mine").name, "mine")

    def test_check_seconds(self) -> None:
        """0 will do only where it is said to."""
        self.assertEqual(check_seconds("delay", 0, zero=True), 0.0)
        with self.assertRaisesRegex(ValueError, "delay must be 0 seconds or more and finite"):
            check_seconds("delay", -1, zero=True)


class TimeBudgetTests(SynchronousTestCase):
    """How a function knows when to return ``WORK_REMAINING``."""

    def test_runs_out(self) -> None:
        """It counts down from the moment it was made, and never below 0."""
        clock = Clock()
        budget = TimeBudget(1.0, clock.seconds)
        self.assertEqual((budget.over_budget(), budget.remaining()), (False, 1.0))
        clock.advance(0.75)
        self.assertEqual((budget.over_budget(), budget.remaining()), (False, 0.25))
        clock.advance(0.25)
        self.assertEqual((budget.over_budget(), budget.remaining()), (True, 0.0))
        clock.advance(1)
        self.assertEqual((budget.over_budget(), budget.remaining()), (True, 0.0))

    def test_exhaust(self) -> None:
        """A call that is cancelled finds it used up."""
        budget = TimeBudget(1e9)
        self.assertFalse(budget.over_budget())
        budget.exhaust()
        self.assertEqual((budget.over_budget(), budget.remaining()), (True, 0.0))


class Taking:
    """A function that takes a budget."""

    def __init__(self, budgets: list[Any]) -> None:
        self._budgets = budgets

    def __call__(self, budget: TimeBudget) -> None:
        """Keep it."""
        self._budgets.append(budget)


class TakingAtWill:
    """A function that can do without."""

    def __init__(self, budgets: list[Any]) -> None:
        self._budgets = budgets

    def __call__(self, *, budget: TimeBudget | None = None) -> None:
        """Keep it, if there is one."""
        self._budgets.append(budget)


class BudgetTests(LoopCase):
    """Functions that take a ``budget``."""

    def given(self, function: Callable[[list[Any]], Callable[..., Any]], **options: float) -> Any:
        """Return what a function was given as its budget."""
        budgets: list[Any] = []
        add: Callable[..., None] = self.build().add
        add(function(budgets), **options)
        self.clock.advance(0)
        (budget,) = budgets
        return budget

    def test_given(self) -> None:
        """A function with a parameter of that name is given one: 1 s, unless it is said."""
        budget = self.given(Taking)
        self.assertIsInstance(budget, TimeBudget)
        self.assertEqual(budget.remaining(), 1.0)
        self.clock.advance(1)
        self.assertTrue(budget.over_budget())
        budget = self.given(TakingAtWill, budget=3)
        self.assertEqual(budget.remaining(), 3.0)

    def test_really_used_up(self) -> None:
        """Real time counts too: a function that works on ends on a clock that stands still."""

        def at_work(budget: TimeBudget) -> None:
            while not budget.over_budget():
                self.assertLess(time.monotonic(), deadline, "waited in vain to be over budget")
            left.append(budget.remaining())

        left: list[float] = []
        deadline = time.monotonic() + 5
        self.build(at_work, budget=0.02)
        self.assertEqual(left, [0.0])

    def test_of_the_loop(self) -> None:
        """The loop's ``budget`` holds for functions that have none."""
        budgets: list[TimeBudget] = []
        self.build(Taking(budgets), budget=2)
        self.assertEqual(budgets[0].remaining(), 2.0)

    def test_other_ways(self) -> None:
        """Methods, callable objects, coroutines and generators may take one as well."""
        budgets: list[TimeBudget] = []

        async def coroutine(budget: TimeBudget) -> None:
            budgets.append(budget)

        def generator(budget: TimeBudget) -> Any:
            budgets.append(budget)
            yield

        taking = Taking(budgets)
        self.build(taking, taking.__call__, partial(taking), coroutine, generator)
        self.assertEqual(len(budgets), 5)

    def test_fresh_for_each_call(self) -> None:
        """Each call has a budget of its own."""
        budgets: list[TimeBudget] = []
        loop = self.build(Taking(budgets))
        self.clock.advance(100)
        self.trigger(loop)
        self.assertEqual(budgets[1].remaining(), 1.0)

    def test_not_asked_for(self) -> None:
        """One without that parameter is called with nothing, also when nobody can tell."""
        self.assertEqual(self.build(self.scripted()).rung, 1)
        loop = self.build(dict)
        self.assertEqual(len(self.flush(TypeError)), 1)
        self.assertTrue(loop.is_quiet())

    def test_cancelled(self) -> None:
        """A function that is cancelled at its timeout finds its budget used up."""
        budgets: list[TimeBudget] = []

        def function(budget: TimeBudget) -> Any:
            budgets.append(budget)
            while not budget.over_budget():
                yield self.later()

        self.build().add(function, budget=1000, timeout=3)
        self.clock.pump([0, 1, 1, 1])
        self.assertTrue(budgets[0].over_budget())
        self.clock.advance(1)
        self.flush(TimeoutError)

    def later(self) -> Any:
        """Return a Deferred that fires in a second."""
        from twisted.internet.task import deferLater

        return deferLater(self.clock, 1)
