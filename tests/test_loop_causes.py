"""Why a function is called, and when it finds work: what a loop counts."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.loop import Loop
from txdoorbell.loops.causes import Cause
from txdoorbell.notification import Notification
from txdoorbell.processor import FOUND_WORK, WORK_REMAINING, Processor


class CauseTests(SynchronousTestCase):
    """Runs and finds are counted by cause."""

    def setUp(self) -> None:
        """Begin with a running loop that has nothing to do."""
        self.clock = Clock()
        self.loop = Loop(self.clock)
        self.loop.startService()
        self.clock.advance(0)
        self.addCleanup(self.loop.stopService)

    def runs(self) -> dict[str, int]:
        """Return how many runs there were, by cause; causes without one aside."""
        return {word: count for word, count in self.loop.runs.items() if count}

    def finds(self) -> dict[str, int]:
        """Return how often work was found, by cause; causes without one aside."""
        return {word: count for word, count in self.loop.finds.items() if count}

    def added(self, *results: object) -> None:
        """Add a function with these results, in turn; then None."""
        left = list(results)
        self.loop.add(lambda: left.pop(0) if left else None)
        self.clock.advance(0)

    def test_added(self) -> None:
        """A function that is added runs as at a start."""
        self.added()
        self.assertEqual(self.runs(), {"start": 1})

    def test_rung(self) -> None:
        """A notification and a trigger are rings."""
        self.added()
        self.loop.notified(Notification("jobs"))
        self.clock.advance(0)
        self.loop.trigger()
        self.clock.advance(0)
        self.assertEqual(self.runs(), {"start": 1, "ring": 2})

    def test_woken(self) -> None:
        """A wake-up and another try are wake-ups."""
        self.added(7.0, RuntimeError)
        self.clock.pump([7, 5])
        self.flushLoggedErrors(TypeError)
        self.assertEqual(self.runs(), {"start": 1, "wakeup": 2})

    def test_remaining(self) -> None:
        """A run for work that remained has a cause of its own."""
        self.added(WORK_REMAINING)
        self.assertEqual(self.runs(), {"start": 1, "remaining": 1})

    def test_other_causes(self) -> None:
        """Whoever rings may say why."""
        self.added()
        for cause in (Cause.INTERVAL, Cause.RECONNECT):
            self.loop.trigger(cause)
            self.clock.advance(0)
        self.assertEqual(self.runs(), {"start": 1, "interval": 1, "reconnect": 1})

    def test_the_most_telling_counts(self) -> None:
        """Of several causes of one run the most telling counts, whichever came first."""
        self.added()
        for causes in ((Cause.INTERVAL, Cause.RING), (Cause.RING, Cause.INTERVAL)):
            for cause in causes:
                self.loop.trigger(cause)
            self.clock.advance(0)
        self.assertEqual(self.runs(), {"start": 1, "ring": 2})

    def test_missed_channels(self) -> None:
        """What a new LISTEN may have missed is due to a reconnect."""
        self.loop.add(lambda: None, channels="jobs")
        self.clock.advance(0)
        self.loop.missed(["jobs"])
        self.clock.advance(0)
        self.assertEqual(self.runs(), {"start": 1, "reconnect": 1})

    def test_found_work(self) -> None:
        """``FOUND_WORK`` is counted by the cause of the call; the function then sleeps."""
        self.added(FOUND_WORK, FOUND_WORK)
        self.loop.trigger(Cause.INTERVAL)
        self.clock.advance(0)
        self.assertEqual(self.finds(), {"start": 1, "interval": 1})
        self.assertTrue(self.loop.is_quiet())
        self.assertEqual(dict(self.loop.wakeups), {})

    def test_work_remaining_is_a_find(self) -> None:
        """Whoever says that work remains has found some."""
        self.added(WORK_REMAINING)
        self.assertEqual(self.finds(), {"start": 1})

    def test_on_find(self) -> None:
        """Whoever listens is told of each find, with the function."""
        found: list[Processor] = []
        self.loop.on_find = found.append
        self.added(FOUND_WORK)
        self.assertEqual([processor.cause for processor in found], [Cause.START])

    def test_each_function_has_its_own(self) -> None:
        """In one run each function has the cause that made it due."""
        found: list[tuple[str, str]] = []
        self.loop.on_find = lambda p: found.append((p.name, p.cause.word))
        self.loop.add(lambda: FOUND_WORK, name="all")
        self.loop.add(lambda: FOUND_WORK, name="mail", channels="mail")
        self.clock.advance(0)
        found.clear()
        self.loop.trigger(Cause.INTERVAL)
        self.loop.notified(Notification("mail"))
        self.clock.advance(0)
        self.assertEqual(found, [("all", "ring"), ("mail", "ring")])
        found.clear()
        self.loop.trigger(Cause.INTERVAL)
        self.clock.advance(0)
        self.assertEqual(found, [("all", "interval"), ("mail", "interval")])
