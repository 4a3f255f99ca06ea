"""What one channel has in a row is told in one call: what comes of it is what always came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.loops import LoopCase
from txdoorbell.listening.inbox import Inbox, Taking
from txdoorbell.notification import Hearable, Notification
from txdoorbell.switchboard import Switchboard

ROW = [Notification("jobs", str(number), 7) for number in range(4)]


class DispatchTests(SynchronousTestCase):
    """A switchboard that is given several notifications at once."""

    def setUp(self) -> None:
        """Have a switchboard."""
        self.board = Switchboard()
        self.heard: list[tuple[object, object]] = []

    def hear(self, name: object, channel: str, data: object, pid: int) -> None:
        """Hear one, as a subscriber."""
        self.heard.append((name, data))

    def told(self, **functions: Callable[..., object]) -> list[tuple[object, object]]:
        """Subscribe, dispatch a row, and return what was heard."""
        for name, function in functions.items():
            self.board.subscribe(name, "jobs", function)
        self.board.dispatch_all("jobs", iter(ROW))
        return self.heard

    def test_subscriber(self) -> None:
        """The one subscriber hears each, decoded, in order."""
        self.assertEqual(self.told(a=self.hear), [("a", number) for number in range(4)])
        self.assertEqual(self.board.counts()["jobs"], 4)

    def test_subscribers(self) -> None:
        """Of several subscribers each hears each, before anybody hears the next."""
        heard = self.told(a=self.hear, b=self.hear)
        self.assertEqual(heard, [(name, number) for number in range(4) for name in "ab"])

    def test_nobody(self) -> None:
        """On a channel that isn't there nobody hears anything."""
        self.board.dispatch_all("jobs", ROW)
        self.assertEqual(self.heard, [])

    def test_unsubscribed(self) -> None:
        """A subscriber that takes itself away hears no more."""

        def once(*arguments: Any) -> None:
            self.hear(*arguments)
            self.board.unsubscribe("a", "jobs")

        self.assertEqual(self.told(a=once), [("a", 0)])

    def test_newcomer(self) -> None:
        """Who is subscribed meanwhile hears from the next one on."""

        def invite(*arguments: Any) -> None:
            self.hear(*arguments)
            self.board.subscribe("b", "jobs", self.hear)

        expected = [("a", 0), *((name, number) for number in range(1, 4) for name in "ab")]
        self.assertEqual(self.told(a=invite), expected)

    def test_failing(self) -> None:
        """The errors of a subscriber are logged, each of them, and it hears the rest."""

        def fail(*arguments: Any) -> None:
            self.hear(*arguments)
            raise ZeroDivisionError

        self.assertEqual(len(self.told(a=fail)), 4)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 4)

    def test_failing_and_gone(self) -> None:
        """A subscriber that takes itself away and fails hears no more either."""

        def fail(*arguments: Any) -> None:
            self.hear(*arguments)
            self.board.unsubscribe("a", "jobs")
            raise ZeroDivisionError

        self.assertEqual(self.told(a=fail), [("a", 0)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_observer(self) -> None:
        """An observer gets them as they came, one by one."""
        seen: list[Hearable] = []
        self.board.observe(seen.append, "jobs")
        self.told()
        self.assertEqual(seen, ROW)

    def test_observer_of_several(self) -> None:
        """One that can take several gets them in one call, and one by one beside others."""
        calls: list[object] = []
        self.board.observe(calls.append, "jobs", lambda channel, row: calls.append([*row]))
        self.told()
        self.assertEqual((calls, self.board.counts()["jobs"]), ([ROW], 4))
        self.told(a=self.hear)
        self.assertEqual((calls, len(self.heard)), ([ROW, *ROW], 4))

    def test_observer_of_several_fails(self) -> None:
        """Its error is logged."""

        def fail(channel: str, row: Sequence[Hearable]) -> None:
            raise ZeroDivisionError

        self.board.observe(lambda notification: None, "jobs", fail)
        self.told()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class TakingTests(SynchronousTestCase):
    """An inbox whose observer can take several."""

    def setUp(self) -> None:
        """Have an inbox with rows of two channels, and an observer that takes rows."""
        self.inbox = Inbox()
        self.told: list[object] = []
        for channel in ("jobs", "jobs", "mail", "private", "jobs"):
            self.inbox.append(Notification(channel, str(len(self.told))))
        self.observer = Taking(self.told.append, self.take, lambda: self.told.append("end"))

    def take(self, channel: str, notifications: Iterable[Hearable]) -> None:
        """Take a row."""
        self.told.append((channel, len(list(notifications))))

    def test_rows(self) -> None:
        """Each row is taken in one call, in order, and then it is said that these were all."""
        self.inbox.deliver({self.observer})
        rows = [("jobs", 2), ("mail", 1), ("private", 1), ("jobs", 1)]
        self.assertEqual(self.told, [*rows, "end"])
        self.inbox.deliver({self.observer})
        self.assertEqual(len(self.told), 5)

    def test_reserved(self) -> None:
        """What came on a reserved channel is in no row."""
        aside: list[Hearable] = []
        self.inbox.reserve("private", aside.append)
        self.inbox.deliver({self.observer})
        self.assertEqual(self.told, [("jobs", 2), ("mail", 1), ("jobs", 1), "end"])
        self.assertEqual(len(aside), 1)

    def test_one(self) -> None:
        """A single one is a row, too; among several observers there are no rows."""
        inbox = Inbox()
        inbox.append(ROW[0])
        inbox.deliver({self.observer})
        self.assertEqual(self.told, [("jobs", 1), "end"])
        inbox.append(ROW[1])
        inbox.deliver([self.observer, lambda notification: None])
        self.assertEqual(self.told[2:], [ROW[1]])

    def test_one_channel(self) -> None:
        """What came on one channel only is one row; dropped in its midst, it ends there."""
        inbox = Inbox()

        def take(channel: str, notifications: Iterable[Hearable]) -> None:
            for notification in notifications:
                self.told.append(notification.payload)
                if notification.payload == "2":
                    inbox.drop()

        for number in range(5):
            inbox.append(Notification("jobs", str(number)))
        inbox.deliver([Taking(self.told.append, take, self.observer.end)])
        self.assertEqual(self.told, ["0", "1", "2", "end"])

    def test_failing(self) -> None:
        """An error is logged; the other rows are taken, and the end is told."""

        def fail(channel: str, notifications: Iterable[Hearable]) -> None:
            self.take(channel, notifications)
            raise ZeroDivisionError

        self.inbox.deliver([Taking(self.told.append, fail, self.observer.end)])
        self.assertEqual(len(self.told), 5)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 4)

    def test_end_fails(self) -> None:
        """An error at the end is logged."""
        self.inbox.deliver([Taking(self.told.append, self.take, lambda: 1 / 0)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_dropped(self) -> None:
        """Dropped in the midst of a row, the rest of it is not taken, nor are further rows."""

        def take(channel: str, notifications: Iterable[Hearable]) -> None:
            for _ in notifications:
                self.told.append(channel)
                self.inbox.drop()

        self.inbox.deliver([Taking(self.told.append, take, self.observer.end)])
        self.assertEqual(self.told, ["jobs", "end"])


class LoopTests(LoopCase):
    """A loop that is rung by several notifications at once."""

    def test_begins_at_the_end(self) -> None:
        """It begins when all have been told, in the same turn of the reactor, and runs once."""
        function = self.scripted()
        loop = self.build(function)
        before = loop.rung
        loop.notified_all("jobs", ROW)
        self.assertEqual((function.calls, loop.is_quiet()), (1, False))
        loop.heard_all()
        self.assertEqual((function.calls, loop.is_quiet()), (2, True))
        self.assertEqual((loop.rung - before, loop.covered), (4, loop.rung))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_rung(self) -> None:
        """When nobody hears that channel nothing begins."""
        loop = self.build()
        function = self.scripted()
        loop.add(function, channels="mail")
        self.clock.advance(0)
        before = loop.rung
        loop.notified_all("jobs", ROW)
        loop.heard_all()
        self.assertEqual((function.calls, loop.rung), (1, before))

    def test_rung_already(self) -> None:
        """What was rung otherwise begins in a turn of its own."""
        function = self.scripted()
        loop = self.build(function)
        loop.trigger()
        loop.notified_all("jobs", ROW)
        loop.heard_all()
        self.assertEqual(function.calls, 1)
        self.clock.advance(0)
        self.assertEqual(function.calls, 2)

    def test_each_is_offered(self) -> None:
        """``interested`` and ``hint`` are asked and told about each of them."""
        hinted: list[str] = []
        loop = self.build()
        loop.add(
            self.scripted(),
            interested=lambda notification: notification.payload != "1",
            hint=lambda notification: hinted.append(notification.payload),
        )
        self.clock.advance(0)
        loop.notified_all("jobs", ROW)
        loop.heard_all()
        self.assertEqual(hinted, ["0", "2", "3"])

    def test_stopped_between(self) -> None:
        """A loop that is stopped before the end of the row does not begin."""
        function = self.scripted()
        loop = self.build(function)
        loop.notified_all("jobs", ROW)
        self.successResultOf(loop.stopService())
        loop.heard_all()
        self.assertEqual(function.calls, 1)

    def test_removed_meanwhile(self) -> None:
        """A function that is removed between a ring and its run is not called."""
        functions = [self.scripted(), self.scripted()]
        loop = self.build(*functions)
        loop.notified_all("jobs", ROW)
        loop.remove(functions[0])
        loop.heard_all()
        self.assertEqual([function.calls for function in functions], [1, 2])

    def test_order(self) -> None:
        """Rung on two channels, functions run in their order, each once."""
        called: list[str] = []
        loop = self.build()
        loop.add(lambda: called.append("all"))
        loop.add(lambda: called.append("mail"), channels="mail", priority=1)
        loop.add(lambda: called.append("jobs"), channels=["jobs", "mail"])
        self.clock.advance(0)
        called.clear()
        loop.notified_all("jobs", ROW)
        loop.notified_all("mail", [Notification("mail")])
        loop.heard_all()
        self.assertEqual(called, ["mail", "all", "jobs"])
