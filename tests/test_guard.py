"""The guard: a stepped clock and a blocked reactor are seen from a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from tests.logs import LogMixin
from tests.servers import until
from txdoorbell.guard import Guard


@implementer(IReactorFromThreads)
class Reactor:
    """A reactor whose turn comes when the test says so."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], object]] = []

    def callFromThread(  # noqa: D102 - as IReactorFromThreads has it
        self,
        callable: Callable[..., object],  # noqa: A002 - the same
        *args: object,
        **kwargs: object,
    ) -> None:
        self._calls.append(lambda: callable(*args, **kwargs))

    def turn(self) -> int:
        """Make the calls that were kept, and say how many they were."""
        calls, self._calls = self._calls, []
        for call in calls:
            call()
        return len(calls)


class LookTests(SynchronousTestCase, LogMixin):
    """What one look sees."""

    def setUp(self) -> None:
        """Begin with clocks at noon."""
        self.wall = self.passed = 43200.0
        self.reactor = Reactor()
        self.steps: list[float] = []
        self.guard = Guard(
            self.reactor, self.steps.append, 30.0, lambda: self.wall, lambda: self.passed
        )
        self.guard.begin()
        self.capture_logs()

    def let_pass(self, seconds: float, look: int = 1) -> None:
        """Let time pass, looking so many times."""
        for _ in range(look):
            self.wall += seconds / look
            self.passed += seconds / look
            self.guard.look()

    def test_nothing(self) -> None:
        """As long as nothing happens nothing is said."""
        for _ in range(100):
            self.let_pass(1)
            self.reactor.turn()
        self.assertEqual((self.steps, self.logged_texts()), ([], []))

    def test_step_back(self) -> None:
        """A wall clock set back is reported with the step, once."""
        self.wall -= 3600
        self.let_pass(0.5, look=3)
        self.reactor.turn()
        self.assertEqual([round(step, 3) for step in self.steps], [-3600])
        self.assertIn("-3600.00 s", self.logged_texts()[0])

    def test_step_forward(self) -> None:
        """So is one set forward, as by a machine that slept."""
        self.wall += 10
        self.let_pass(0.5)
        self.reactor.turn()
        self.assertEqual([round(step, 3) for step in self.steps], [10])

    def test_slewing(self) -> None:
        """A clock that is corrected slowly, 0.05 % a second, has not been stepped."""
        for _ in range(1000):
            self.wall += 0.0005
            self.let_pass(1)
            self.reactor.turn()
        self.assertEqual([step for step in self.steps if abs(step) > 0.3], [])

    def test_blocked(self) -> None:
        """A reactor that gives no sign of life for 30 s is blocked; its stack is logged, once."""
        self.let_pass(45, look=90)
        texts = self.logged_texts()
        self.assertEqual(len(texts), 1)
        self.assertIn("test_blocked", texts[0])
        self.assertGreaterEqual(self.guard.blocked_for, 30)

    def test_runs_again(self) -> None:
        """Once it runs again that is said too, and the next block is reported anew."""
        self.let_pass(45, look=90)
        self.reactor.turn()
        self.assertEqual(self.guard.blocked_for, 0)
        self.let_pass(45, look=90)
        self.assertEqual(len(self.logged_texts()), 3)

    def test_an_idle_reactor_is_left_alone(self) -> None:
        """A reactor is asked for a sign of life a few times a minute, not at each look."""
        asked = 0
        for _ in range(120):
            self.let_pass(0.5)
            asked += self.reactor.turn()
        self.assertLessEqual(asked, 6)


class ThreadTests(TestCase, LogMixin):
    """The guard on a real reactor."""

    reactor = IReactorFromThreads(reactor)

    def test_a_blocked_reactor(self) -> None:
        """A function that blocks the reactor is in the log while it still blocks."""
        self.capture_logs()
        guard = Guard(self.reactor, lambda step: None, slow_after=0.3)
        guard.start()
        self.addCleanup(guard.stop)
        until("the guard reports a blocked reactor", self.logged_texts, 20)
        self.assertIn("test_a_blocked_reactor", self.logged_texts()[0])

    def test_a_step(self) -> Deferred[None]:
        """A step is told to the reactor, in its own thread."""
        told: Deferred[int] = Deferred()
        wall = [time.time()]
        guard = Guard(
            self.reactor, lambda _: told.callback(threading.get_ident()), epoch=lambda: wall[0]
        )
        guard.start()
        self.addCleanup(guard.stop)
        wall[0] -= 3600
        told.addTimeout(20, IReactorTime(reactor))
        return told.addCallback(self.assertEqual, threading.get_ident())

    def test_stopped(self) -> None:
        """A guard that is stopped leaves no thread; stopping it twice is stopping it once."""
        guard = Guard(self.reactor, lambda step: None)
        guard.start()
        threads = [t for t in threading.enumerate() if t.name == "txdoorbell guard"]
        guard.stop()
        guard.stop()
        for thread in threads:
            thread.join(20)
        self.assertEqual([t.name for t in threads if t.is_alive()], [])
