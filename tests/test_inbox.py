"""What collects notifications and hands them on, and who calls others in later turns."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.inbox import Inbox
from txdoorbell.notification import Hearable, Notification


class InboxTests(SynchronousTestCase):
    """Notifications from psycopg2 to observers."""

    def setUp(self) -> None:
        """Have an inbox with five notifications, as psycopg2 appends them."""
        self.inbox = Inbox()
        self.heard: list[str] = []
        for number in range(5):
            self.inbox.append(Notification("odd" if number % 2 else "even", str(number)))

    def hear(self, notification: Hearable) -> None:
        """Hear one."""
        self.heard.append(notification.payload)

    def test_order(self) -> None:
        """Everything is handed on once, in order."""
        self.inbox.deliver([self.hear])
        self.inbox.deliver([self.hear])
        self.assertEqual(self.heard, ["0", "1", "2", "3", "4"])

    def test_more(self) -> None:
        """What arrives later is handed on later, also when it arrives during a delivery."""

        def hear(notification: Hearable) -> None:
            self.hear(notification)
            if notification.payload == "1":
                self.inbox.append(Notification("even", "late"))

        self.inbox.deliver([hear])
        self.assertEqual(self.heard, ["0", "1", "2", "3", "4"])
        self.inbox.deliver([hear])
        self.assertEqual(self.heard[-1], "late")

    def test_several(self) -> None:
        """Each observer hears everything; with none it is dropped."""
        other: list[Hearable] = []
        self.inbox.deliver([self.hear, other.append])
        self.assertEqual((len(self.heard), len(other)), (5, 5))
        self.inbox.append(Notification("even", "5"))
        self.inbox.deliver([])
        self.inbox.deliver([self.hear])
        self.assertEqual(len(self.heard), 5)

    def test_reserved(self) -> None:
        """A reserved channel has an observer of its own, and no other."""
        aside: list[Hearable] = []
        self.inbox.reserve("odd", aside.append)
        self.inbox.deliver([self.hear])
        self.assertEqual(self.heard, ["0", "2", "4"])
        self.assertEqual([one.payload for one in aside], ["1", "3"])

    def test_failing(self) -> None:
        """An observer's errors are logged, each of them, and stop nobody."""

        def fail(notification: Hearable) -> None:
            self.hear(notification)
            raise ZeroDivisionError

        self.inbox.deliver([fail])
        self.assertEqual(len(self.heard), 5)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 5)

    def test_dropped(self) -> None:
        """Dropped in the midst of a delivery, the rest is not delivered, by nobody."""

        def hear(notification: Hearable) -> None:
            self.hear(notification)
            if notification.payload == "2":
                self.inbox.append(Notification("even", "late"))
                self.inbox.drop()

        self.inbox.deliver([hear])
        self.inbox.deliver([hear])
        self.assertEqual(self.heard, ["0", "1", "2"])


class AnnouncerTests(SynchronousTestCase):
    """Calls that are made in a later turn."""

    def setUp(self) -> None:
        """Have an announcer."""
        self.clock = Clock()
        self.announcer = Announcer(self.clock)
        self.made: list[object] = []

    def test_later(self) -> None:
        """They are made in the next turn, in order."""
        for number in range(3):
            self.announcer.later(lambda number=number: self.made.append(number))  # type: ignore[misc]
        self.assertEqual(self.made, [])
        self.clock.advance(0)
        self.assertEqual(self.made, [0, 1, 2])

    def test_from_inside(self) -> None:
        """What a call asks for is not made from inside it."""

        def call() -> None:
            self.announcer.later(lambda: self.made.append("third"))
            self.made.append("first")

        self.announcer.later(call)
        self.announcer.later(lambda: self.made.append("second"))
        self.clock.advance(0)
        self.assertEqual(self.made, ["first", "second", "third"])

    def test_failing(self) -> None:
        """An error in one is logged, and the others are made."""
        self.announcer.later(lambda: 1 / 0)
        self.announcer.later(lambda: self.made.append("made"))
        self.clock.advance(0)
        self.assertEqual(self.made, ["made"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_quiet(self) -> None:
        """It is quiet when all that was asked for has been made."""
        self.successResultOf(self.announcer.when_quiet())
        self.announcer.later(lambda: self.made.append("made"))
        quiet = self.announcer.when_quiet()
        quiet.addCallback(lambda _: self.made.append("quiet"))
        self.assertNoResult(quiet)
        self.clock.advance(0)
        self.assertEqual(self.made, ["made", "quiet"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
