"""Which host tries for which lock, and when: numbers alone, with the chance in our hands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.fleet.policy import FIRST, HEAD_START, JITTER, STANDBYS, TIE, Placement, weight

HOSTS = [f"host{number}" for number in range(100)]
LOOPS = [f"loop{number}" for number in range(200)]


def placement(
    host: str = "a",
    max_loops: int | None = None,
    chance: Callable[[], float] = lambda: 0.0,
    hosts: int | None = None,
) -> Placement:
    """Return a host's policy; unless told otherwise, one with no luck at all."""
    return Placement(host, max_loops=max_loops, hosts=hosts, chance=chance)


class WeightTests(SynchronousTestCase):
    """How much a host likes a loop."""

    def test_stable(self) -> None:
        """It is the same in every process and every release, so that fleets may be mixed."""
        self.assertEqual(weight("db1", "billing"), 0.018237661663595972)

    def test_names_do_not_run_together(self) -> None:
        """Where a host's name ends and the loop's begins makes a difference."""
        self.assertNotEqual(weight("a", "bc"), weight("ab", "c"))
        self.assertNotEqual(weight("a", "1:b"), weight("a1", ":b"))

    @given(st.text(st.characters()), st.text(st.characters()))
    def test_range(self, host: str, loop: str) -> None:
        """It is from 0 to less than 1, for any name that Python can hold."""
        self.assertTrue(0.0 <= weight(host, loop) < 1.0)

    def test_spread(self) -> None:
        """Each host likes about as many loops best as any other."""
        best = Counter(max(HOSTS[:4], key=lambda host: weight(host, loop)) for loop in LOOPS)
        self.assertEqual(len(best), 4)
        self.assertGreater(min(best.values()), len(LOOPS) // 8)

    def test_one_host_leaves(self) -> None:
        """Loops that were not liked best by the host that leaves stay where they are."""
        for loop in LOOPS:
            best = max(HOSTS, key=lambda host: weight(host, loop))
            without = max(HOSTS[1:], key=lambda host: weight(host, loop))
            self.assertTrue(best in (HOSTS[0], without))


class WaitTests(SynchronousTestCase):
    """The wait after a lock has come free."""

    def test_who_likes_it_best(self) -> None:
        """Of hosts with the same load, the one that likes the loop best tries first."""
        first = min(HOSTS, key=lambda host: placement(host).wait("billing", 0))
        self.assertEqual(first, max(HOSTS, key=lambda host: weight(host, "billing")))

    def test_some_tens_of_milliseconds(self) -> None:
        """Even the last, with a thousand loops already, tries within 0.21 s."""
        unlucky = placement(chance=lambda: 0.999)
        waits = [unlucky.wait(loop, 1000) for loop in LOOPS]
        self.assertLess(max(waits), HEAD_START * (2 + TIE))
        self.assertGreaterEqual(min(waits), 0.0)

    def test_first(self) -> None:
        """A new session waits longer: others begin at the same moment, after a server's restart."""
        slow = Placement("a", max_loops=1, chance=lambda: 0.999)
        for loop in LOOPS:
            self.assertEqual(slow.first_wait(loop, 0), FIRST * slow.wait(loop, 0))
            self.assertLess(slow.wait(loop, 1), slow.longest_wait)

    def test_short_interval(self) -> None:
        """Whoever tries more often waits less."""
        hasty, usual = Placement("a", lock_interval=0.2), Placement("a", lock_interval=20.0)
        self.assertEqual((hasty.head_start, usual.head_start), (0.01, HEAD_START))

    def test_load(self) -> None:
        """The more loops a host has, the longer it waits: one that came back goes first."""
        for bound in (None, 20):
            waits = [placement(max_loops=bound).wait("billing", held) for held in range(20)]
            self.assertEqual(waits, sorted(set(waits)))
        idle, loaded = placement("idle"), placement("loaded")
        sooner = sum(idle.wait(loop, 0) < loaded.wait(loop, 10) for loop in LOOPS)
        self.assertGreater(sooner, 0.9 * len(LOOPS))

    def test_two_processes_of_one_host(self) -> None:
        """Processes of the same name don't try at the same moment."""
        chance = Random(1).random
        one, other = placement("a", chance=chance), placement("a", chance=chance)
        self.assertNotEqual(one.wait("billing", 0), other.wait("billing", 0))
        self.assertEqual(one.wait("billing", 0), one.wait("billing", 0))

    def test_max_loops(self) -> None:
        """A host that holds as many as it may doesn't try for more."""
        self.assertTrue(placement(max_loops=3).has_room(2))
        self.assertFalse(placement(max_loops=3).has_room(3))
        self.assertTrue(placement().has_room(10_000))


class RoundTests(SynchronousTestCase):
    """Regular tries."""

    def test_interval(self) -> None:
        """A round is never later than lock_interval after the last, and up to a fifth earlier."""
        for luck, expected in ((0.0, 2.0), (0.5, 2.0 - JITTER), (1.0, 2.0 - 2 * JITTER)):
            self.assertEqual(placement(chance=lambda: luck).until_next_round(), expected)  # noqa: B023

    def test_phases(self) -> None:
        """Hosts that connect at one moment begin their rounds all over the interval."""
        chance = Random(1).random
        firsts = [placement(chance=chance).until_first_round() for _ in range(1000)]
        tenths = Counter(int(first * 5) for first in firsts)
        self.assertEqual(sorted(tenths), list(range(10)))
        self.assertLess(max(tenths.values()), 200)

    def test_small_fleet(self) -> None:
        """In a fleet of up to sixteen hosts, everybody tries for everything."""
        for hosts in (None, 1, STANDBYS):
            one = placement(hosts=hosts)
            self.assertTrue(all(one.tries(loop) and one.prefers(loop) for loop in LOOPS))

    def test_large_fleet(self) -> None:
        """In a fleet of 1,000, about sixteen try for a loop at once, and twice as many in turn."""
        chance = Random(1).random
        fleet = [placement(f"host{number}", chance=chance, hosts=1000) for number in range(1000)]
        eager = [sum(host.prefers(loop) for host in fleet) for loop in LOOPS[:50]]
        self.assertGreater(min(eager), 0)
        self.assertApproximates(sum(eager) / 50, STANDBYS, 2)
        trying = sum(host.tries(loop) for loop in LOOPS[:50] for host in fleet)
        self.assertApproximates(trying / 50, 2 * STANDBYS, 3)

    def test_those_who_like_it_are_gone(self) -> None:
        """A loop that no host that is left prefers is tried for all the same, now and then."""
        chance = Random(1).random
        fleet = [placement(f"host{number}", chance=chance, hosts=1000) for number in range(1000)]
        left = [host for host in fleet if not host.prefers("billing")]
        self.assertTrue(any(host.tries("billing") for host in left))


class WrongTests(SynchronousTestCase):
    """What can't be is refused, by name."""

    def test_lock_interval(self) -> None:
        """The interval is a time, and not for ever."""
        for wrong in (0.0, -1.0, float("nan"), float("inf")):
            with self.assertRaisesRegex(ValueError, "lock_interval is .*: "):
                Placement("a", lock_interval=wrong)

    def test_max_loops(self) -> None:
        """Half a loop, or none at all, is a mistake."""
        for wrong in (0, -1, 1.5, True, float("nan")):
            with self.assertRaisesRegex(ValueError, "max_loops is .*: "):
                Placement("a", max_loops=wrong)  # type: ignore[arg-type]
            with self.assertRaisesRegex(ValueError, "hosts is .*: "):
                Placement("a", hosts=wrong)  # type: ignore[arg-type]

    def test_host(self) -> None:
        """A host has a name."""
        with self.assertRaisesRegex(ValueError, "host=''"):
            Placement("")
