"""What ends a process that doesn't end by itself, apart from the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.process.lastresort import LastResort, leave_threads, stack_of


class LastResortTests(SynchronousTestCase):
    """A thread that is asked to act after a while."""

    def setUp(self) -> None:
        """Have the thread."""
        self.left = threading.Event()
        self.resort = LastResort(self.left.set)

    def test_not_asked(self) -> None:
        """As long as nobody asks it does nothing."""
        self.assertFalse(self.left.wait(0.05))

    def test_asked(self) -> None:
        """Asked, it acts when the time is up."""
        began = time.monotonic()
        self.resort.ask(0.05)
        self.assertTrue(self.left.wait(10.0))
        self.assertGreaterEqual(time.monotonic() - began, 0.05)

    def test_sooner(self) -> None:
        """Asked again, it acts sooner, and never later."""
        for seconds in (60.0, 0.05, 60.0):
            self.resort.ask(seconds)
        self.assertTrue(self.left.wait(10.0))

    def test_at_once(self) -> None:
        """No time at all is possible too."""
        self.resort.ask(0.0)
        self.assertTrue(self.left.wait(10.0))


class LeftThreadsTests(SynchronousTestCase):
    """A thread pool that is stopped while a function does not end."""

    def stop(self, left: Callable[[], float]) -> tuple[threading.Thread, threading.Event]:
        """Stop such a pool; return the thread, and what lets it end."""
        pool, begun, end = ThreadPool(0, 2), threading.Event(), threading.Event()
        self.addCleanup(end.set)
        leave_threads(pool, left)
        pool.start()

        def function() -> None:
            begun.set()
            end.wait(60.0)

        pool.callInThread(function)
        self.assertTrue(begun.wait(10.0))
        pool.stop()
        return pool.threads[0], end

    def test_left(self) -> None:
        """It isn't waited for any more when the time is up, nor by Python at its end."""
        stopped = time.monotonic() + 0.1
        thread, end = self.stop(lambda: stopped - time.monotonic())
        self.assertTrue(0 <= time.monotonic() - stopped < 5.0)
        self.assertTrue(thread.is_alive())
        self.assertTrue(thread.daemon)
        self.assertIn("in function", stack_of(thread))
        end.set()
        thread.join(10.0)
        self.assertIn("has ended", stack_of(thread))

    def test_waited_for(self) -> None:
        """One that ends in time is waited for."""
        pool, ended = ThreadPool(0, 2), threading.Event()
        leave_threads(pool, lambda: 60.0)
        pool.start()
        pool.callInThread(ended.set)
        pool.stop()
        self.assertTrue(ended.is_set())
        self.assertFalse(pool.threads[0].is_alive())
