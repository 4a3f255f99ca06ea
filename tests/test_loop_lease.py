"""``lease``: what a function of a locked loop is given, to tell late writes by."""

from tests.loops import LoopCase
from txdoorbell.fleet.locking import Lease
from txdoorbell.loop import Loop
from txdoorbell.processor import TimeBudget

FIRST = Lease("billing", 1, 0.0, "one", 100)
SECOND = Lease("billing", 2, 9.0, "one", 100)


class LeaseTests(LoopCase):
    """A function with a parameter called ``lease``."""

    def setUp(self) -> None:
        """Have a loop that notes what its function is given."""
        super().setUp()
        self.given: list[object] = []
        self.loop = Loop(self.clock)

    def take_lease(self, lease: Lease | None) -> None:
        """Note the lease."""
        self.given.append(lease)

    def take_both(self, lease: Lease | None, budget: TimeBudget) -> None:
        """Note the lease and the budget."""
        self.given += [lease, budget]

    def test_that_of_the_loop(self) -> None:
        """It is the loop's own, as of the beginning of the call."""
        self.loop.add(self.take_lease)
        self.loop.lease = FIRST
        self.started(self.loop)
        self.loop.lease = SECOND
        self.trigger(self.loop)
        self.assertEqual(self.given, [FIRST, SECOND])

    def test_without_a_lock(self) -> None:
        """It is None."""
        self.loop.add(self.take_lease)
        self.started(self.loop)
        self.assertEqual(self.given, [None])

    def test_with_a_budget(self) -> None:
        """Both may be asked for."""
        self.loop.add(self.take_both)
        self.loop.lease = FIRST
        self.started(self.loop)
        lease, budget = self.given
        self.assertIs(lease, FIRST)
        self.assertIsInstance(budget, TimeBudget)
