"""``interested`` and ``hint``: who is rung by which notification, and is told of it."""

from typing import Any

from tests.loops import Boom, LoopCase, noting
from txdoorbell.loop import Loop
from txdoorbell.notification import Notification


class FilterTests(LoopCase):
    """The options that look at each notification."""

    def choosy(self, function: Any, **options: Any) -> Loop:
        """Return a quiet loop with one function, which has run once."""
        loop = Loop(self.clock)
        loop.add(function, **options)
        return self.started(loop)

    def test_interested(self) -> None:
        """A function is rung by the notifications that interest it, and by no others."""
        function = self.scripted()
        loop = self.choosy(function, interested=lambda n: n.data == "mine")
        self.ring(loop, payload="yours")
        self.assertEqual(function.calls, 1)
        self.ring(loop, payload="mine")
        self.assertEqual(function.calls, 2)

    def test_not_asked_about_other_channels(self) -> None:
        """``interested`` and ``hint`` hear of the function's own channels only."""
        heard: list[str] = []
        loop = self.choosy(
            self.scripted(),
            channels=["jobs"],
            interested=noting(heard, "interested?", lambda n: n.channel == "jobs"),
            hint=lambda n: heard.append(n.channel),
        )
        self.ring(loop, "mail")
        self.ring(loop, "jobs")
        self.assertEqual(heard, ["interested?", "jobs"])

    def test_trigger_asks_nobody(self) -> None:
        """``trigger()`` rings everyone, whatever interests them; there is nothing to hint at."""
        heard: list[object] = []
        function = self.scripted()
        loop = self.choosy(function, interested=lambda n: False, hint=heard.append)
        self.trigger(loop)
        self.assertEqual((function.calls, heard), (2, []))

    def test_hint_before_the_run(self) -> None:
        """``hint`` is told each matching notification, in order, before the one run they cause."""
        order: list[object] = []
        loop = self.choosy(
            lambda: order.append("run"),
            interested=lambda n: n.data != "other",
            hint=lambda n: order.append(n.data),
        )
        for payload in ("1", "other", "2", "2"):
            loop.notified(Notification("doorbell", payload))
        self.clock.advance(0)
        self.assertEqual(order, ["run", 1, 2, 2, "run"])

    def test_interested_fails(self) -> None:
        """When ``interested`` fails that is logged with the name, and the function is rung."""
        function, other = self.scripted(name="picky"), self.scripted()

        def fail(notification: Notification) -> bool:
            raise Boom(notification.payload)

        loop = self.choosy(function, interested=fail)
        loop.add(other, hint=lambda n: None)
        self.clock.advance(0)
        self.ring(loop)
        self.assertEqual((function.calls, other.calls), (2, 2))
        self.assertEqual(len(self.flush(Boom)), 1)
        self.assertIn("picky: interested or hint failed", self.logged())

    def test_hint_fails(self) -> None:
        """When ``hint`` fails, even by leaving the program, the function is rung all the same."""
        function = self.scripted()

        def fail(notification: Notification) -> None:
            raise SystemExit(1)

        loop = self.choosy(function, hint=fail)
        self.ring(loop)
        self.assertEqual(function.calls, 2)
        self.flush(SystemExit)

    def test_hint_triggers(self) -> None:
        """A hint may ring the loop; one run serves both."""
        function = self.scripted()
        loop = Loop(self.clock)
        loop.add(function, hint=lambda n: loop.trigger())
        self.started(loop)
        self.ring(loop)
        self.assertEqual(function.calls, 2)
        self.assertQuiet(loop)

    def test_hint_removes(self) -> None:
        """A hint may remove functions, its own among them: they are not called."""
        loop = Loop(self.clock)
        first, second = self.scripted(), self.scripted()

        def remove(notification: Notification) -> None:
            loop.remove(first)
            loop.remove(second)

        loop.add(first, hint=remove)
        loop.add(second, hint=lambda n: None)
        self.started(loop)
        self.ring(loop)
        self.assertEqual((first.calls, second.calls), (1, 1))
        self.assertQuiet(loop)

    def test_hint_stops(self) -> None:
        """A hint may stop the loop: nothing is called any more, and it is quiet."""
        loop = Loop(self.clock)
        function = self.scripted()
        loop.add(function, hint=lambda n: loop.stopService())
        self.started(loop)
        self.ring(loop)
        self.assertEqual(function.calls, 1)
        self.assertTrue(loop.is_quiet())

    def test_while_active(self) -> None:
        """Hints arrive at once, also while another function is active."""
        heard: list[object] = []
        loop = self.choosy(self.scripted(), hint=lambda n: heard.append(n.data))
        loop.add(lambda: loop.notified(Notification("doorbell", "inside")) if not heard else None)
        self.clock.advance(0)
        self.assertEqual(heard, ["inside"])
        self.assertQuiet(loop)
