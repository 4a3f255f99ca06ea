"""A test's clock that is stepped like a wall clock."""

from __future__ import annotations

from twisted.internet.task import Clock


class SteppingClock(Clock):
    """A reactor's clock that is stepped, beside the time that really passes."""

    passed = 0.0

    def monotonic(self) -> float:
        """Return the time that really passed."""
        return self.passed

    def let_pass(self, seconds: float) -> None:
        """Let time really pass."""
        self.passed += seconds
        self.advance(seconds)

    def step(self, seconds: float) -> None:
        """Set the wall clock, as an administrator does; a step forward fires what is due."""
        self.rightNow += seconds
        self.advance(0)
