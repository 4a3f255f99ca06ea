"""What the result of a function means: the table of meanings, row by row."""

import enum
from datetime import UTC, datetime, timedelta, timezone

from twisted.internet.defer import Deferred

from tests.loops import Held, LoopCase, Scripted, noting
from txdoorbell import DONE_FOR_NOW, WORK_REMAINING
from txdoorbell.loop import Loop


class Foreign(enum.Enum):
    """What depeche_db's enum looks like."""

    WORK_REMAINING = "work_remaining"
    DONE_FOR_NOW = "done_for_now"


class DoneTests(LoopCase):
    """``None`` and ``DONE_FOR_NOW``: sleep until rung."""

    def test_sleeps_until_rung(self) -> None:
        """Such a function is called when it is rung, and at no other time."""
        for result in (None, DONE_FOR_NOW, Foreign.DONE_FOR_NOW):
            function = self.scripted(result)
            loop = self.build(function)
            self.clock.pump([1000] * 10)
            self.assertEqual((function.calls, dict(loop.wakeups)), (1, {}))
            self.trigger(loop)
            self.assertEqual(function.calls, 2)

    def test_nothing_is_scheduled(self) -> None:
        """Nothing is scheduled for a loop whose functions have all slept in."""
        self.build(self.scripted())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TimeTests(LoopCase):
    """A time: run again at or after it, and not before the minimum delay."""

    def sleeper(self, offset: float, **options: float) -> tuple[Loop, Scripted]:
        """Return a function that has just returned now and an offset, and then None, in a loop."""
        function = self.scripted(self.clock.seconds() + offset, None)
        return self.build(function, **options), function

    def assertCalledAt(self, function: Scripted, delay: float) -> None:
        """It is called so many seconds after its first call: not before, and once."""
        early = 0.001
        self.clock.advance(delay - early)
        self.assertEqual(function.calls, 1)
        self.clock.advance(early)
        self.assertEqual(function.times, [function.times[0], function.times[0] + delay])
        self.clock.advance(1000)
        self.assertEqual(function.calls, 2)

    def test_future(self) -> None:
        """A function that returns a time is called then."""
        loop, function = self.sleeper(60)
        self.assertEqual(dict(loop.wakeups), {function: self.clock.seconds() + 60})
        self.assertCalledAt(function, 60)
        self.assertEqual(dict(loop.wakeups), {})

    def test_soon(self) -> None:
        """A time that is nearer than 5 s means in 5 s: at 4.999 s not, at 5 s yes."""
        loop, function = self.sleeper(1)
        self.assertEqual(loop.wakeups[function], self.clock.seconds() + 5)
        self.assertCalledAt(function, 5)

    def test_exactly_the_minimum(self) -> None:
        """A time 5 s ahead means just that."""
        self.assertCalledAt(self.sleeper(5)[1], 5)

    def test_now(self) -> None:
        """The present moment means in 5 s."""
        self.assertCalledAt(self.sleeper(0)[1], 5)

    def test_past(self) -> None:
        """A time long past means in 5 s, and is no error."""
        self.assertCalledAt(self.sleeper(-999_999)[1], 5)

    def test_before_the_epoch(self) -> None:
        """Zero and negative seconds are times long past."""
        for result in (0, -1, 0.0, -1e300):
            function = self.scripted(result, None)
            self.build(function)
            self.assertCalledAt(function, 5)

    def test_other_minimum_delay(self) -> None:
        """``minimum_delay`` is the loop's to choose; 0 calls again at once."""
        self.assertCalledAt(self.sleeper(0, minimum_delay=0.25)[1], 0.25)
        _, function = self.sleeper(-1, minimum_delay=0)
        self.assertEqual(function.calls, 2)

    def test_far_future(self) -> None:
        """A time in a million years is no error; the loop stays quiet and can be rung."""
        function = self.scripted(self.clock.seconds() + 3.2e13, 1.7e308, None)
        loop = self.build(function)
        self.clock.pump([86400] * 10)
        self.assertEqual(function.calls, 1)
        self.trigger(loop)
        self.assertEqual(loop.wakeups[function], 1.7e308)
        self.clock.advance(1e6)
        self.assertEqual(function.calls, 2)
        self.assertQuiet(loop)

    def test_int(self) -> None:
        """An int is as good as a float."""
        function = self.scripted(int(self.clock.seconds()) + 60, None)
        self.build(function)
        self.assertCalledAt(function, 60)

    def test_aware_datetime(self) -> None:
        """A datetime with a time zone, any, is its moment."""
        for zone in (UTC, timezone(timedelta(hours=-11))):
            moment = datetime.fromtimestamp(self.clock.seconds() + 60, zone)
            function = self.scripted(moment, None)
            self.build(function)
            self.assertCalledAt(function, 60)

    def test_each_result_replaces_the_wakeup(self) -> None:
        """A function has one wake-up: that of its last result."""
        now = self.clock.seconds()
        function = self.scripted(now + 60, now + 30, None)
        loop = self.build(function)
        self.trigger(loop)
        self.assertEqual(loop.wakeups[function], now + 30)
        self.clock.advance(30)
        self.assertEqual(function.calls, 3)
        self.clock.advance(1000)
        self.assertEqual(function.calls, 3)

    def test_cancelled_before_the_call(self) -> None:
        """When a sleeper is called, its wake-up is gone; a plain result sets none."""
        held = Held()
        loop = self.build(held)
        held.fire(self.clock.seconds() + 60)
        self.clock.advance(0)
        self.assertEqual(list(loop.wakeups), [held])
        self.trigger(loop)
        self.assertEqual(dict(loop.wakeups), {})
        self.clock.advance(100)
        held.fire(None)
        self.clock.advance(100)
        self.assertEqual(held.calls, 2)

    def test_a_ring_does_not_wait(self) -> None:
        """The minimum delay is for wake-ups: a ring calls a sleeper at once."""
        loop, function = self.sleeper(60)
        self.clock.advance(1)
        self.trigger(loop)
        self.assertEqual(function.calls, 2)

    def test_counts_from_the_result(self) -> None:
        """The 5 s count from the result, not from the call."""
        held = Held()
        self.build(held)
        self.clock.advance(100)
        held.fire(0)
        self.clock.advance(4.999)
        self.assertEqual(held.calls, 1)
        self.clock.advance(0.001)
        self.assertEqual(held.calls, 2)
        held.fire()

    def test_together(self) -> None:
        """Functions whose times have come run in one run, in their order, and only they."""
        order: list[str] = []
        loop = self.build()
        now = self.clock.seconds()
        for name, offset in {"late": 30, "early": 20, "other": 90}.items():
            loop.add(noting(order, name, self.scripted(now + offset)))
        self.clock.advance(0)
        del order[:]
        self.clock.advance(30)
        self.assertEqual(order[:2], ["late", "early"])

    def test_wakeups_is_read_only(self) -> None:
        """Nobody can change the wake-ups of a loop by its mapping."""
        loop, function = self.sleeper(60)
        with self.assertRaises(TypeError):
            loop.wakeups[function] = 0.0  # type: ignore[index]


class WorkRemainingTests(LoopCase):
    """``WORK_REMAINING``: again, after all others that are due."""

    def test_called_again(self) -> None:
        """It is called again until it has no work left, with no ring and no delay."""
        function = self.scripted(WORK_REMAINING, Foreign.WORK_REMAINING, WORK_REMAINING, None)
        loop = self.build(function)
        self.assertEqual(function.calls, 4)
        self.assertQuiet(loop)
        self.assertEqual(loop.rung, 1)

    def test_after_all_others(self) -> None:
        """Everyone else who is due has a turn first, whatever the priorities."""
        order: list[str] = []
        loop = Loop(self.clock)
        greedy = self.scripted(WORK_REMAINING, WORK_REMAINING, None)
        ringing = self.scripted(loop.trigger, None)
        loop.add(noting(order, "greedy", greedy), priority=1)
        loop.add(noting(order, "ringing", ringing))
        loop.add(noting(order, "last"))
        self.started(loop)
        expected = ["greedy", "ringing", "last", "ringing", "last", "greedy", "greedy"]
        self.assertEqual(order[:6], expected[:6])
        self.assertEqual(order, expected)

    def test_two_take_turns(self) -> None:
        """Two functions that have work for a while take turns."""
        order: list[str] = []
        loop = Loop(self.clock)
        for name in "ab":
            work = self.scripted(WORK_REMAINING, WORK_REMAINING, None)
            loop.add(noting(order, name, work))
        self.started(loop)
        self.assertEqual("".join(order), "ababab")

    def test_sleepers_get_their_turn(self) -> None:
        """A function that always has work does not keep a sleeper from its time."""
        sleeper = self.scripted(0, None)
        loop = self.build(sleeper)

        def work() -> Deferred[object]:
            done: Deferred[object] = Deferred()
            self.clock.callLater(1, done.callback, WORK_REMAINING)
            return done

        loop.add(work)
        self.clock.pump([0.5] * 20)
        self.assertEqual(sleeper.calls, 2)
        loop.remove(work)
        self.clock.advance(1)

    def test_coalesced_with_a_ring(self) -> None:
        """A ring of a function that has work left causes no further call."""
        function = self.scripted(WORK_REMAINING, None)
        loop = Loop(self.clock)
        loop.add(function)
        loop.add(self.scripted(loop.trigger, None))
        self.started(loop)
        self.assertEqual(function.calls, 2)
