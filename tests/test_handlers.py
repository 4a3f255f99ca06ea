"""Handler objects: the protocol of depeche_db's ``RunOnNotification``."""

import enum
from typing import Any

from twisted.internet.defer import Deferred

from tests.loops import Boom, LoopCase
from txdoorbell import DONE_FOR_NOW, WORK_REMAINING
from txdoorbell.loop import Loop
from txdoorbell.processor import TimeBudget


class RunOnNotificationResult(enum.Enum):
    """depeche_db's own enum, as it is there."""

    WORK_REMAINING = "work_remaining"
    DONE_FOR_NOW = "done_for_now"


class Recording:
    """A handler that notes what is done to it."""

    notification_channel = "stream"

    def __init__(self, *results: object) -> None:
        self.notes: list[object] = []
        self.budgets: list[TimeBudget] = []
        self.results = list(results)

    def interested_in_notification(self, payload: Any) -> bool:
        """Take note, and be interested in all but one."""
        self.notes.append(("interested", payload))
        return bool(payload != "boring")

    def take_notification_hint(self, payload: Any) -> None:
        """Take note."""
        self.notes.append(("hint", payload))

    def run(self, budget: TimeBudget) -> object:
        """Take note, and do as told."""
        self.budgets.append(budget)
        self.notes.append("run")
        result = self.results.pop(0) if self.results else None
        if isinstance(result, Exception):
            raise result
        return result

    def stop(self) -> None:
        """Take note."""
        self.notes.append("stop")


class HandlerTests(LoopCase):
    """``register``."""

    def registered(self, *results: object, **options: Any) -> tuple[Loop, Recording]:
        """Return a loop with one handler, which has run once."""
        handler = Recording(*results)
        loop = Loop(self.clock)
        self.assertIs(loop.register(handler, **options), handler)
        self.started(loop)
        return loop, handler

    def test_notification(self) -> None:
        """A notification is offered, hinted and run for, with the decoded payload."""
        loop, handler = self.registered()
        self.ring(loop, "stream", '{"position": 7}')
        data = {"position": 7}
        self.assertEqual(handler.notes, ["run", ("interested", data), ("hint", data), "run"])

    def test_not_interested(self) -> None:
        """One that it is not interested in does not run it, nor does another channel's."""
        loop, handler = self.registered()
        self.ring(loop, "stream", "boring")
        self.ring(loop, "other")
        self.assertEqual(handler.notes, ["run", ("interested", "boring")])
        self.assertEqual(loop.channels, {"stream"})

    def test_trigger(self) -> None:
        """``trigger()`` runs it without asking."""
        loop, handler = self.registered()
        self.trigger(loop)
        self.assertEqual(handler.notes, ["run", "run"])

    def test_results(self) -> None:
        """Results of depeche_db's enum are known by their names; so is every other result."""
        results = [RunOnNotificationResult.WORK_REMAINING, WORK_REMAINING, 0]
        loop, handler = self.registered(*results, RunOnNotificationResult.DONE_FOR_NOW)
        self.assertEqual(handler.notes, ["run"] * 3)
        self.assertEqual(list(loop.wakeups), [handler])
        self.clock.advance(5)
        self.assertEqual(handler.notes, ["run"] * 4)
        self.clock.advance(1000)
        self.assertEqual((len(handler.notes), dict(loop.wakeups)), (4, {}))
        handler.results[:] = [DONE_FOR_NOW]
        self.trigger(loop)
        self.assertQuiet(loop)

    def test_budget(self) -> None:
        """``run`` is given a budget of the loop's length."""
        _, handler = self.registered()
        self.assertEqual(handler.budgets[0].remaining(), 1.0)

    def test_error_stops_nobody(self) -> None:
        """One handler's error stops neither the loop nor the other handlers."""
        loop, handler = self.registered(Boom())
        other = loop.register(Recording())
        self.assertIn("loop: Recording on stream failed; it is tried again", self.logged())
        self.clock.advance(5)
        self.assertEqual((handler.notes, other.notes), (["run"] * 2, ["run"]))
        self.flush(Boom)

    def test_errors_of_its_filters(self) -> None:
        """An error of its filters is logged, and it runs all the same."""
        loop, handler = self.registered()
        handler.take_notification_hint = lambda payload: 1 / 0  # type: ignore[assignment]
        self.ring(loop, "stream")
        self.assertEqual(handler.notes[-1], "run")
        self.flush(ZeroDivisionError)

    def test_stop(self) -> None:
        """``stop()`` is called once when the loop stops, and again at the next stop."""
        loop, handler = self.registered()
        loop.stopService()
        loop.stopService()
        self.assertEqual(handler.notes, ["run", "stop"])
        loop.startService()
        self.clock.advance(0)
        self.assertEqual(loop.crash(), [])
        self.assertEqual(handler.notes, ["run", "stop", "run", "stop"])

    def test_stop_fails(self) -> None:
        """An error of ``stop()`` is logged with its name, and the loop stops."""

        class Failing(Recording):
            def stop(self) -> None:
                raise Boom

        loop = self.build()
        loop.register(Failing())
        self.clock.advance(0)
        self.successResultOf(loop.stopService())
        self.assertEqual(len(self.flush(Boom)), 1)
        self.assertIn("Failing on stream failed", self.logged())

    def test_not_stopped_if_not_started(self) -> None:
        """A loop that was never started does not stop its handlers."""
        handler = Loop(self.clock).register(Recording())
        self.assertEqual(handler.notes, [])
        loop = Loop(self.clock)
        loop.register(handler)
        self.successResultOf(loop.stopService())
        self.assertEqual(handler.notes, [])

    def test_twice(self) -> None:
        """Registering a handler twice is registering it once."""
        loop, handler = self.registered()
        loop.register(handler)
        self.trigger(loop)
        self.assertEqual(handler.notes, ["run", "run"])
        with self.assertRaisesRegex(ValueError, "has been added already"):
            loop.register(handler, blocking=False)

    def test_known_by_itself(self) -> None:
        """The handler is what one removes and mutes."""
        loop, handler = self.registered()
        loop.mute(handler)
        self.trigger(loop)
        self.assertEqual(handler.notes, ["run"])
        self.assertEqual(loop.get_processors(), [handler])
        loop.remove(handler)
        loop.stopService()
        self.assertEqual(handler.notes, ["run"])

    def test_not_blocking(self) -> None:
        """A handler that says it does not block may return what is waited for."""
        pending: Deferred[None] = Deferred()
        handler = Recording(pending)
        loop = Loop(self.clock)
        loop.register(handler, blocking=False)
        self.started(loop)
        self.assertFalse(loop.is_quiet())
        pending.callback(None)
        self.clock.advance(0)
        self.assertTrue(loop.is_quiet())

    def test_incomplete(self) -> None:
        """What lacks a part of the protocol is refused; the text names the part."""
        parts = ("interested_in_notification", "take_notification_hint", "run", "stop")
        for part in parts:
            handler: Any = Recording()
            setattr(handler, part, None)
            with self.assertRaisesRegex(TypeError, rf"has no method {part}\(\)"):
                Loop(self.clock).register(handler)
        handler = Recording()
        handler.notification_channel = 7
        with self.assertRaisesRegex(TypeError, "has no str notification_channel"):
            Loop(self.clock).register(handler)
        handler.notification_channel = "x" * 64
        with self.assertRaisesRegex(ValueError, "limit of 63"):
            Loop(self.clock).register(handler)
