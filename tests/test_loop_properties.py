"""Thousands of schedules of everything that may happen to a loop, against what it promises."""

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.loop_model import CHANNELS, Plan
from tests.loop_world import World
from tests.loops import Boom
from txdoorbell.loops.call import FunctionTimeout

SETTINGS = settings(
    max_examples=int(os.environ.get("TXDOORBELL_SCHEDULES", "2000")),
    deadline=None,
    derandomize="TXDOORBELL_SCHEDULES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),  # a busy machine is no failure
)

numbers = st.integers(0, len(CHANNELS) - 1)
nothing = st.just(0)
channels = st.sampled_from(["a", "b", "c", "b!"])
ends = st.tuples(st.sampled_from(["stop", "restart", "crash", "crash_and_start"]), nothing)
suspensions = st.tuples(st.sampled_from(["suspend", "resume"]), nothing)
inner = st.one_of(
    st.tuples(st.sampled_from(["add", "remove", "mute", "unmute"]), numbers),
    st.tuples(st.just("notify"), channels),
    st.tuples(st.just("trigger"), nothing),
    suspensions,
    ends,
)
styles = ["now", "fired", "deferred", "coroutine", "coroutine", "generator", "stubborn"]
plans = st.builds(
    Plan,
    style=st.sampled_from(styles),
    outcome=st.sampled_from(["none", "more", "past", "at", "error", "bad"]),
    seconds=st.sampled_from([-7.0, 0.0, 1.0, 5.0, 7.5, 60.0]),
    inside=st.one_of(st.none(), st.none(), inner),
    late=st.booleans(),
)
seconds = st.sampled_from([0.0, 0.0, 0.001, 1.0, 4.999, 5.0, 7.5, 10.0, 20.0, 30.0, 100.0])
planned = st.tuples(st.just("plan"), st.tuples(numbers, plans))
time = st.tuples(st.just("advance"), seconds)
actions = st.one_of(
    time,
    time,
    planned,
    planned,
    st.tuples(st.just("submit"), plans),
    st.tuples(st.sampled_from(["fire", "fire", "start", "withdraw"]), nothing),
    ends,
    suspensions,
    inner,
)
schedules = st.one_of(st.lists(actions, max_size=12), st.lists(actions, min_size=25, max_size=70))


class ScheduleTests(SynchronousTestCase):
    """Whatever happens, a loop keeps its promises."""

    @SETTINGS
    @given(schedules, st.sampled_from([None, 20.0]), st.booleans())
    def test_promises(
        self, schedule: list[tuple[str, Any]], timeout: float | None, at_once: bool
    ) -> None:
        """Never two are active; each call has its reason; after every ring everyone who hears it
        is called; sleepers are woken in time and never too soon; a stop is a stop; and whatever
        has happened, the loop can be started, and is not deaf.
        """
        world = World(timeout)
        for number in range(len(CHANNELS)):
            world.add(number)
        if at_once:
            world.start(0)
        for what, value in schedule:
            world.act(what, value)
            self.check(world)
        self.settle(world)
        self.end(world)

    def assertNoOtherErrors(self) -> None:
        """Nothing but what the functions are told to do has been logged as an error."""
        for failure in self.flushLoggedErrors():
            if not failure.check(Boom, FunctionTimeout, TypeError):
                failure.raiseException()

    def check(self, world: World) -> None:
        """See whether a quiet loop owes nothing to anybody."""
        self.assertNoOtherErrors()
        loop, now = world.loop, world.clock.seconds()
        if loop.suspension is not None or not (loop.running and loop.is_quiet()):
            return
        self.assertEqual(loop.rung, loop.covered)
        self.assertIsNone(world.active)
        self.assertTrue(all(done.called for done in world.jobs))
        asleep = {}
        for slot, function in zip(world.slots, world.functions, strict=True):
            if not slot.muted:
                self.assertFalse(slot.present and slot.owed, "somebody is owed a call")
                slot.explained = 0
            if slot.present and slot.wake is not None and not (slot.muted and slot.wake <= now):
                self.assertGreater(slot.wake, now, "somebody has overslept")
                asleep[function] = slot.wake
        self.assertEqual(dict(loop.wakeups), asleep)
        self.assertLessEqual(len(world.clock.getDelayedCalls()), 1)

    def settle(self, world: World) -> None:
        """Start the loop, and end all that is active, until it is quiet."""
        for _ in range(300):
            world.start(0)
            world.resume(0)
            world.advance(0)
            self.check(world)
            if world.loop.running and world.loop.is_quiet():
                return
            if world.loop.running:
                self.assertIsNotNone(world.active, "it is deaf")
            world.fire(0)
        self.fail("it is never quiet")

    def end(self, world: World) -> None:
        """Stop the loop: nothing of it may be left."""
        world.trigger(0)
        world.stop(0)
        begun = world.begun
        world.trigger(0)
        world.advance(100)
        self.assertEqual((world.stopping, world.begun), (0, begun))
        self.assertTrue(world.loop.is_quiet())
        self.assertEqual(world.clock.getDelayedCalls(), [])
        self.assertTrue(all(done.called for done in world.jobs))
        self.assertNoOtherErrors()
