"""The model of a fleet: what it says of a fleet must follow from what it does."""

from __future__ import annotations

from math import inf

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import standbys
from benchmarks.fleet_model import Fleet
from benchmarks.fleet_state import Free, Size
from benchmarks.measures.fleet import COURSE, course
from tests.servers import shared_server
from txdoorbell.listening.locktiming import LockTiming


class ModelTests(SynchronousTestCase):
    """Fleets of three hosts and twelve loops."""

    def fleet(self, max_loops: int | None = None) -> Fleet:
        """Return a fleet that has run for ten seconds."""
        fleet = Fleet(Size(3, 12, max_loops))
        for number in range(3):
            fleet.join(number)
        fleet.run(10.0)
        return fleet

    def holding(self, fleet: Fleet) -> list[int]:
        """Return how many loops each host holds."""
        return [len(host.held) for host in fleet.hosts]

    def test_start(self) -> None:
        """Each loop gets one holder, and the hosts get about the same number."""
        fleet = self.fleet()
        held = [loop for host in fleet.hosts for loop in host.held]
        self.assertEqual(len(held), len(set(held)))
        self.assertEqual((len(held), fleet.free), (12, {}))
        self.assertGreater(min(self.holding(fleet)), 1)

    def test_kill(self) -> None:
        """Loops of a host that was killed are found within the interval."""
        fleet = self.fleet()
        fleet.tally.gaps.clear()
        fleet.kill(0)
        fleet.run(fleet.now + 3.0)
        self.assertEqual(fleet.free, {})
        self.assertLessEqual(max(fleet.tally.gaps), 2.0)

    def test_kill_many(self) -> None:
        """What hosts that die leave behind doesn't go to one of those that are left."""
        fleet = Fleet(Size(8, 40))
        for number in range(8):
            fleet.join(number)
        for number in range(7):
            fleet.run(fleet.now + 10.0)
            fleet.kill(number)
            fleet.join(number)
        fleet.run(fleet.now + 10.0)
        self.assertEqual(fleet.free, {})
        self.assertLess(max(self.holding(fleet)), 30)

    def test_stop(self) -> None:
        """Loops of a host that stops in order go on within a quarter of a second."""
        fleet = self.fleet()
        fleet.tally.gaps.clear()
        fleet.stop(0)
        fleet.run(fleet.now + 1.0)
        self.assertEqual(fleet.free, {})
        self.assertLess(max(fleet.tally.gaps), 0.25)

    def test_cut_off(self) -> None:
        """Loops of a silent host stay where they are until the server ends its session."""
        fleet, timeout = self.fleet(), LockTiming(2.0).timeout
        fleet.tally.gaps.clear()
        fleet.cut_off(0)
        fleet.run(fleet.now + timeout / 2)
        self.assertEqual(fleet.free, {})
        fleet.run(fleet.now + timeout)
        self.assertEqual(self.holding(fleet)[0], 0)
        self.assertGreater(min(fleet.tally.gaps), timeout / 2)
        self.assertEqual(fleet.tally.doubles, 0)

    def test_max_loops(self) -> None:
        """Where no host has room the rest stays free, and no try is wasted on it."""
        fleet = self.fleet(max_loops=3)
        self.assertEqual((self.holding(fleet), len(fleet.free)), ([3, 3, 3], 3))
        fleet.tally.tries.clear()
        fleet.run(fleet.now + 10.0)
        self.assertEqual(sum(fleet.tally.tries.values()), 0)

    def test_two_holders(self) -> None:
        """A loop that is taken while its last holder still runs it is counted."""
        fleet = Fleet(Size(1, 1))
        fleet.free["loop0"] = Free(0.0, fenced=inf)
        fleet.join(0)
        fleet.run(5.0)
        self.assertEqual(fleet.tally.doubles, 1)

    def test_course(self) -> None:
        """Whatever happens, every loop is held at the end, and never twice."""
        figures = course(Size(4, 12))
        self.assertEqual(list(figures), list(COURSE))
        for title, taken in figures.items():
            self.assertEqual((taken["doubles"], taken["free"]), (0, 0), title)


class ServerTests(SynchronousTestCase):
    """What is asked of a real server, at toy size."""

    def test_costs(self) -> None:
        """Tries and rings cost something."""
        dsn = shared_server().dsn
        self.assertGreater(min(standbys.standing_by(dsn, 2, 2, 0.2, 0.05)), 0)
        self.assertGreater(min(standbys.batches(dsn, (1, 3), 1, 5).values()), 0)
        self.assertGreater(min(standbys.lookups(dsn, (2, 3), 2).values()), 0)
        self.assertGreater(standbys.ring(dsn, 2), 0)
        self.assertEqual(standbys.room(dsn, 10), 10)
