"""Deadlines, on a Clock that can be blocked."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.listening.deadline import GRACE, Deadline


class DeadlineTests(SynchronousTestCase):
    """A call after five seconds."""

    def setUp(self) -> None:
        """Have it."""
        self.clock = Clock()
        self.calls: list[float] = []
        self.deadline = Deadline(self.clock, 5.0, lambda: self.calls.append(self.clock.seconds()))

    def test_passed(self) -> None:
        """It is called when the time is up, once."""
        self.clock.advance(4.9)
        self.assertEqual(self.calls, [])
        self.clock.pump([0.1] * 20)
        self.assertEqual(self.calls, [5.0])
        self.deadline.cancel()

    def test_cancelled(self) -> None:
        """Cancelled, it isn't called, and nothing is left; a second time is no error."""
        self.deadline.cancel()
        self.deadline.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_blocked(self) -> None:
        """When the reactor was blocked over the end, it has a moment to read what has come."""
        self.clock.advance(60.0)
        self.assertEqual(self.calls, [])
        self.clock.advance(GRACE)
        self.assertEqual(self.calls, [60.0 + GRACE])

    def test_blocked_again(self) -> None:
        """Blocked over that moment too, it has another."""
        self.clock.pump([60.0, 60.0])
        self.assertEqual(self.calls, [])
        self.deadline.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def reading(self, until: float) -> float:
        """Return when a deadline of five seconds passes where others' data are read till then."""
        self.deadline.cancel()
        began = self.clock.seconds()
        Deadline(
            self.clock,
            5.0,
            lambda: self.calls.append(self.clock.seconds() - began),
            lambda: min(self.clock.seconds() - began, until) + began,
        )
        self.clock.pump([0.05] * 300)
        return self.calls.pop()

    def test_busy(self) -> None:
        """While what came before is still being read, it has up to twice the time."""
        for until, passes in ((1.0, 5.0), (7.0, 7.05), (60.0, 10.0)):
            self.assertTrue(0 <= self.reading(until) - passes < 0.15)

    def test_busy_after_blocked(self) -> None:
        """The time in which the reactor was blocked doesn't count for that."""
        self.deadline.cancel()
        now = self.clock.seconds
        Deadline(self.clock, 5.0, lambda: self.calls.append(now()), now)
        self.clock.advance(60.0)
        self.clock.pump([0.05] * 300)
        self.assertTrue(0 <= self.calls.pop() - 65.0 < 0.15)
