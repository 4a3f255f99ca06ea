"""A builder for tests of the doorbell service: a Clock, a fake listener, and a log of what ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.doorbell import Doorbell
from txdoorbell.testing import FakeListener


class BellTestCase(SynchronousTestCase):
    """Tests of a doorbell without PostgreSQL; each ends with everything stopped."""

    def setUp(self) -> None:
        """Begin with a clock, a fake listener, and nothing done."""
        self.clock = Clock()
        self.listener = FakeListener(self.clock)
        self.ran: list[object] = []

    def build(self, **options: Any) -> Doorbell:
        """Return a doorbell that is not running; it is stopped, and looked after, at the end."""
        bell = Doorbell(self.clock, listener=self.listener, **options)
        self.addCleanup(self.stop, bell)
        return bell

    def running(self, **options: Any) -> Doorbell:
        """Return a doorbell that listens, with what its start made it do forgotten."""
        bell = self.build(**options)
        bell.startService()
        self.turn()
        return bell

    def stop(self, bell: Doorbell) -> None:
        """Stop a doorbell; nothing of it may be left."""
        self.successResultOf(bell.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def noting(self, what: str) -> Callable[[], None]:
        """Return a function that notes that it ran."""
        return lambda: self.ran.append(what)

    def turn(self) -> None:
        """Let everything happen that is due now."""
        self.clock.pump([0] * 3)

    def rung(self, channel: str, payload: str = "") -> list[object]:
        """Deliver a notification, and return what ran for it."""
        self.ran.clear()
        self.listener.deliver(channel, payload)
        self.turn()
        return self.ran

    def after(self, seconds: float) -> list[object]:
        """Let time pass, and return what ran in it."""
        self.ran.clear()
        self.clock.advance(seconds)
        self.turn()
        return self.ran

    def unfired(self, bell: Doorbell) -> Deferred[None]:
        """Add a function that is active until the Deferred returned is fired."""
        active: Deferred[None] = Deferred()
        bell.add(lambda: active, name="active")
        self.turn()
        return active
