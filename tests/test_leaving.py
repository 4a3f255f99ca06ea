"""Stops that others hold up: a service beside the loops, or a child of one, that does not stop."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogLevel

from tests.bells import BellTestCase
from tests.logs import LogMixin
from txdoorbell.doorbell import Doorbell
from txdoorbell.loop import Loop, MultiServiceLoop


class Hanging(Service):
    """A service that stops when the test lets it."""

    def __init__(self) -> None:
        self.stopped: Deferred[None] = Deferred()

    def __repr__(self) -> str:
        return "<Hanging>"

    def stopService(self) -> Deferred[None]:
        """Stop later."""
        super().stopService()
        return self.stopped

    def run(self) -> None:
        """Be a function of a loop."""


class LeavingTests(LogMixin, BellTestCase):
    """A doorbell whose loop has three seconds to stop, and so have others."""

    def stop(self, bell: Doorbell) -> None:
        """Let what hangs go first."""
        self.hanging.stopped = succeed(None)
        super().stop(bell)

    def setUp(self) -> None:
        """Have a service that hangs."""
        super().setUp()
        self.capture_logs()
        self.hanging = Hanging()

    def with_hanging(self) -> Doorbell:
        """Return a doorbell with it, that runs."""
        bell = self.build(loop=Loop(self.clock, stop_timeout=3.0))
        self.hanging.setServiceParent(bell)
        bell.startService()
        self.turn()
        return bell

    def errors(self) -> list[str]:
        """Return what the log complains of."""
        return self.logged_texts(LogLevel.error)

    def left_behind(self, stopping: Deferred[None]) -> None:
        """See a stop wait for as long as it may, and no longer."""
        self.clock.advance(2.9)
        self.assertNoResult(stopping)
        self.clock.advance(0.1)
        self.successResultOf(stopping)

    def test_child(self) -> None:
        """A further child of the doorbell that doesn't stop is left behind, and named."""
        bell = self.with_hanging()
        self.left_behind(bell.stopService())
        self.assertEqual(self.errors(), ["<Hanging> has not stopped in 3 s: it is left behind"])
        self.hanging.stopped.callback(None)

    def test_child_in_time(self) -> None:
        """One that takes its time is waited for."""
        bell = self.with_hanging()
        stopping = bell.stopService()
        self.clock.advance(2.9)
        self.hanging.stopped.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.errors(), [])

    def test_child_fails(self) -> None:
        """One whose stop fails is no obstacle; its error is logged, in time or late."""
        for seconds in (0.0, 3.0):
            self.hanging = Hanging()
            bell = self.with_hanging()
            stopping = bell.stopService()
            self.clock.advance(seconds)
            self.hanging.stopped.errback(ZeroDivisionError("by it"))
            self.successResultOf(stopping)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.hanging.stopped = succeed(None)
            self.hanging.disownServiceParent()

    def test_listener_stopped_all_the_same(self) -> None:
        """The listener does not wait for it."""
        bell = self.with_hanging()
        stopping = bell.stopService()
        self.assertFalse(self.listener.running)
        self.hanging.stopped.callback(None)
        self.successResultOf(stopping)

    def test_child_of_a_loop(self) -> None:
        """A child service of a loop is left behind in the same way."""
        bell = self.build()
        loop = MultiServiceLoop(self.clock, stop_timeout=3.0)
        self.hanging.setServiceParent(loop)
        bell.add_loop(loop)
        bell.startService()
        self.turn()
        self.left_behind(bell.stopService())
        [text] = self.errors()
        self.assertIn("<Hanging> has not stopped in 3 s", text)
        self.hanging.stopped.callback(None)
