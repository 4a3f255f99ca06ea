"""Those who wait for something to become true."""

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.loops import noting
from txdoorbell.loops.waiters import Waiters, after


class WaitersTests(SynchronousTestCase):
    """A fresh Deferred for each who waits."""

    def setUp(self) -> None:
        """Make waiters for a condition that does not hold yet."""
        self.holds = False
        self.waiters = Waiters(lambda: self.holds)

    def test_holds(self) -> None:
        """When it holds, nobody has to wait."""
        self.holds = True
        self.assertIsNone(self.successResultOf(self.waiters.when()))

    def test_look(self) -> None:
        """All are told, in order, once it holds."""
        order: list[int] = []
        for number in range(3):
            self.waiters.when().addCallback(noting(order, number))
        self.waiters.look()
        self.assertEqual(order, [])
        self.holds = True
        self.waiters.look()
        self.waiters.look()
        self.assertEqual(order, [0, 1, 2])

    def test_ends_meanwhile(self) -> None:
        """When one ends it, those behind him wait on."""
        first, second = self.waiters.when(), self.waiters.when()
        first.addCallback(lambda _: setattr(self, "holds", False))
        self.holds = True
        self.waiters.look()
        self.assertNoResult(second)
        self.holds = True
        self.waiters.look()
        self.successResultOf(second)

    def test_release(self) -> None:
        """All who wait now are told, whether it holds or not; those who come by that are not."""
        first, second = self.waiters.when(), self.waiters.when()
        again: list[Deferred[None]] = []
        first.addCallback(lambda _: again.append(self.waiters.when()))
        self.waiters.release()
        self.successResultOf(second)
        self.assertNoResult(again[0])

    def test_cancel(self) -> None:
        """One who gives up is forgotten, also when he is made to by the one before him."""
        first, second, third = (self.waiters.when() for _ in range(3))
        first.addCallback(lambda _: second.cancel())
        self.waiters.release()
        self.failureResultOf(second, CancelledError)
        self.successResultOf(third)

    def test_after(self) -> None:
        """Each gets a Deferred of its own that fires when another has, failed or not."""
        pending: Deferred[int] = Deferred()
        impatient, patient = after(pending), after(pending)
        impatient.cancel()
        self.failureResultOf(impatient, CancelledError)
        self.assertNoResult(patient)
        pending.callback(7)
        self.assertIsNone(self.successResultOf(patient))
        self.assertEqual(self.successResultOf(pending), 7)
        failed = fail(ValueError())
        self.assertIsNone(self.successResultOf(after(failed)))
        self.failureResultOf(failed, ValueError)
        self.assertIsNone(self.successResultOf(after(succeed(None))))
