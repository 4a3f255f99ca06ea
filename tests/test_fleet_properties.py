"""Schedules of everything that may happen to a fleet: a loop is never in two places."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.lock_world import LOCKS, World

HOSTS = 3
SETTINGS = settings(
    max_examples=int(os.environ.get("TXDOORBELL_SCHEDULES", "150")),
    deadline=None,
    derandomize="TXDOORBELL_SCHEDULES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),  # a busy machine is no failure
)
hosts = st.integers(0, HOSTS - 1)
seconds = st.sampled_from([0.0, 0.05, 0.3, 1.0, 2.0, 4.9, 5.1, 6.1, 20.0])
events = ["freeze", "thaw", "sever", "mend", "kill", "stop", "start", "finish", "ring"]
actions = st.one_of(
    st.tuples(st.just("advance"), seconds),
    st.tuples(st.sampled_from(events), hosts),
    st.tuples(st.just("thaw_late"), hosts),
)
schedules = st.lists(actions, max_size=60)


class ScheduleTests(SynchronousTestCase):
    """Whatever happens to hosts, links and backends."""

    @SETTINGS
    @given(schedules, st.sampled_from([None, 1]), st.booleans())
    def test_one_place(
        self, schedule: list[tuple[str, Any]], max_loops: int | None, long: bool
    ) -> None:
        """
        A function begins only where the lock is held, and never while it is active elsewhere.

        In the end, when all is well again, each loop runs somewhere.
        """
        world = World(HOSTS, max_loops)
        world.long = long
        for host in world.hosts:
            host.start()
        world.advance(3.0)
        for what, value in schedule:
            self.act(world, what, value)
            world.check()
        self.recover(world)

    def act(self, world: World, what: str, value: Any) -> None:
        """Let something happen."""
        if what == "advance":
            world.advance(value)
        elif what in ("thaw", "thaw_late"):
            world.hosts[value].thaw(timers_first=what == "thaw")
        else:
            getattr(world.hosts[value], what)()

    def recover(self, world: World) -> None:
        """Mend everything: soon each loop runs in one place, and one that stops leaves nothing."""
        for host in world.hosts:
            host.thaw(timers_first=True)
            host.cut = False
            host.start()
        world.advance(30.0)
        for name in LOCKS:
            held = [host.host for host in world.hosts if host.loops[name].lease is not None]
            self.assertEqual(len(held), 1, f"{name} runs on {held}")
        for host in world.hosts:
            host.stop()
        world.advance(2.0)
        for host in world.hosts:
            self.assertEqual(host.clock.getDelayedCalls(), [])
        self.assertEqual(world.server.holders, {})
        self.assertGreater(world.calls, 0)
