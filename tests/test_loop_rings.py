"""A ring makes functions run, one at a time, and none is missed."""

from psycopg2.extensions import Notify
from twisted.internet.defer import Deferred

from tests.loops import Boom, Held, LoopCase, noting
from txdoorbell.loop import Loop
from txdoorbell.notification import Notification


class OneAtATimeTests(LoopCase):
    """At most one function is active."""

    def test_start_runs_all(self) -> None:
        """Starting the service runs each function once, in the order in which they were added."""
        order: list[str] = []
        self.build(*[noting(order, name) for name in "abc"])
        self.assertEqual(order, ["a", "b", "c"])

    def test_higher_priority_first(self) -> None:
        """The higher its priority, the earlier a function is called; the rest as added."""
        order: list[str] = []
        loop = Loop(self.clock)
        for name, priority in {"low": -1, "a": 0, "high": 7, "b": 0}.items():
            loop.add(noting(order, name), priority=priority)
        self.started(loop)
        self.assertEqual(order, ["high", "a", "b", "low"])

    def test_not_under_the_caller(self) -> None:
        """A ring calls nothing itself: functions run in a turn of the reactor."""
        function = self.scripted()
        loop = self.build(function)
        loop.trigger()
        loop.notified(Notification("doorbell"))
        self.assertEqual(function.calls, 1)

    def test_next_waits_for_a_deferred(self) -> None:
        """While the Deferred of one function has not fired, no other is called."""
        held, other = Held(), self.scripted()
        self.build(held, other)
        self.assertEqual((held.calls, other.calls), (1, 0))
        held.fire()
        self.clock.advance(0)
        self.assertEqual((held.calls, other.calls), (1, 1))

    def test_not_called_while_active(self) -> None:
        """A function that is rung ten times while it is active is not called a second time."""
        held = Held()
        loop = self.build(held)
        for _ in range(10):
            self.trigger(loop)
        self.assertEqual(held.calls, 1)
        held.fire()
        self.clock.advance(0)
        self.assertEqual(held.calls, 2)
        held.fire()
        self.clock.advance(0)
        self.assertQuiet(loop)

    def test_removed_and_added_again_while_active(self) -> None:
        """Removing an active function and adding it again calls it only when it has ended."""
        held = Held()
        loop = self.build(held)
        loop.remove(held)
        loop.add(held)
        self.clock.advance(0)
        self.assertEqual(held.calls, 1)
        held.fire()
        self.clock.advance(0)
        self.assertEqual(held.calls, 2)
        held.fire()


class NoRingIsMissedTests(LoopCase):
    """After the last ring at least one full run begins."""

    def test_ring_during_a_run(self) -> None:
        """A ring that comes while a function runs causes another run of all."""
        early, held, late = self.scripted(), Held(), self.scripted()
        loop = self.build(early, held, late)
        self.ring(loop)
        held.fire()
        self.clock.advance(0)
        self.assertEqual((early.calls, held.calls, late.calls), (2, 2, 1))
        held.fire()
        self.clock.advance(0)
        self.assertEqual((early.calls, held.calls, late.calls), (2, 2, 2))
        self.assertQuiet(loop)

    def test_ring_from_inside(self) -> None:
        """A function that rings its own loop while it is called is called again."""
        loop = Loop(self.clock)
        rings = [loop.trigger, lambda: loop.notified(Notification("doorbell")), lambda: None]
        function = self.scripted(*rings)
        loop.add(function)
        self.started(loop)
        self.assertEqual(function.calls, 3)
        self.assertQuiet(loop)

    def test_trigger_before_the_start(self) -> None:
        """A ring before the start is remembered: it and the start are served by one run."""
        function = self.scripted()
        loop = Loop(self.clock)
        loop.add(function)
        loop.trigger()
        loop.notified(Notification("doorbell"))
        self.assertBusy(loop)
        self.started(loop)
        self.assertEqual(function.calls, 1)
        self.assertQuiet(loop)

    def test_trigger_after_the_stop(self) -> None:
        """A ring after the stop runs nothing, now or at the next start, and the log says so."""
        function = self.scripted()
        loop = self.build(function)
        loop.stopService()
        self.trigger(loop)
        self.assertEqual(function.calls, 1)
        self.assertIn("loop has stopped: trigger() is ignored", self.logged())
        self.assertQuiet(loop)

    def test_notified_after_the_stop(self) -> None:
        """Notifications after the stop ring nobody; a flood of them does not flood the log."""
        loop = self.build(self.scripted())
        loop.stopService()
        before = len(self.events)
        for _ in range(100):
            self.ring(loop)
        loop.missed(["doorbell"])
        self.assertEqual(len(self.events), before)
        self.assertQuiet(loop)

    def test_an_error_serves_no_less(self) -> None:
        """A ring is served also when a function before it in the run fails."""
        failing, late = self.scripted(Boom()), self.scripted()
        loop = self.build(failing, late)
        self.trigger(loop)
        self.assertEqual(late.calls, 2)
        self.assertQuiet(loop)
        self.flush(Boom)

    def test_missed(self) -> None:
        """When rings on a channel may be lost, all who hear it run, whatever interests them."""
        loop = self.build()
        everyone, jobs, mail = self.scripted(), self.scripted(), self.scripted()
        loop.add(everyone)
        loop.add(jobs, channels="jobs", interested=lambda n: False)
        loop.add(mail, channels="mail")
        self.clock.advance(0)
        loop.missed(["jobs"])
        self.clock.advance(0)
        self.assertEqual((everyone.calls, jobs.calls, mail.calls), (2, 2, 1))
        loop.remove(everyone)
        rung = loop.rung
        loop.missed(["nobody's"])
        self.assertEqual((loop.rung, loop.is_quiet()), (rung, True))


class CoalescingTests(LoopCase):
    """Rings before a run are served by that run, and are counted."""

    def test_coalesce(self) -> None:
        """A thousand rings in a row are served by one run."""
        function = self.scripted()
        loop = self.build(function)
        for _ in range(500):
            loop.trigger()
            loop.notified(Notification("doorbell"))
        self.clock.advance(0)
        self.assertEqual(function.calls, 2)
        self.assertEqual((loop.rung, loop.covered), (1001, 1001))

    def test_rung_and_covered(self) -> None:
        """``covered`` follows ``rung`` when a run that began after the ring has ended."""
        loop = Loop(self.clock)
        self.assertEqual((loop.rung, loop.covered), (0, 0))
        held = Held()
        loop.add(held)
        self.started(loop)
        self.assertEqual((loop.rung, loop.covered), (1, 0))
        loop.trigger()
        self.assertEqual((loop.rung, loop.covered), (2, 0))
        held.fire()
        self.clock.advance(0)
        self.assertEqual((loop.rung, loop.covered), (2, 1))
        held.fire()
        self.clock.advance(0)
        self.assertEqual((loop.rung, loop.covered), (2, 2))

    def test_an_interrupted_run_covers_nothing(self) -> None:
        """A run that a stop cut short serves no ring: the next start's run does."""
        held, late = Held(), self.scripted()
        loop = self.build(held, late)
        loop.stopService()
        held.fire()
        self.assertEqual((loop.rung, loop.covered, late.calls), (1, 0, 0))
        loop.startService()
        self.clock.advance(0)
        self.assertEqual((loop.rung, loop.covered, late.calls), (2, 0, 0))
        held.fire()
        self.clock.advance(0)
        self.assertEqual((loop.rung, loop.covered, late.calls), (2, 2, 1))

    def test_no_function_at_all(self) -> None:
        """Ringing an empty loop is harmless, and served at once."""
        loop = self.build()
        self.trigger(loop)
        self.ring(loop)
        self.assertQuiet(loop)
        self.assertEqual(loop.rung, 2)


class ChannelTests(LoopCase):
    """Which notifications ring whom."""

    def test_channels(self) -> None:
        """A function that names channels is rung there only; one that names none, everywhere."""
        loop = self.build()
        everywhere, one, several = self.scripted(), self.scripted(), self.scripted()
        loop.add(everywhere)
        loop.add(one, channels="mail")
        loop.add(several, channels=["mail", "jobs"])
        self.clock.advance(0)
        for channel in ("mail", "jobs", "other"):
            self.ring(loop, channel)
        self.assertEqual((everywhere.calls, one.calls, several.calls), (4, 2, 3))
        self.trigger(loop)
        self.assertEqual((everywhere.calls, one.calls, several.calls), (5, 3, 4))

    def test_nobody_hears(self) -> None:
        """A notification that nobody hears is no ring."""
        loop = self.build()
        loop.add(self.scripted(), channels="mail")
        self.clock.advance(0)
        rung = loop.rung
        loop.notified(Notification("jobs"))
        self.assertTrue(loop.is_quiet())
        self.assertEqual(loop.rung, rung)

    def test_several_channels_before_a_run(self) -> None:
        """Rings on several channels before a run are served by one run, in order of adding."""
        order: list[str] = []
        loop = self.build()
        loop.add(noting(order, "mail"), channels="mail")
        loop.add(noting(order, "jobs"), channels="jobs", interested=lambda n: True)
        loop.add(noting(order, "both"), channels=("mail", "jobs"))
        self.clock.advance(0)
        del order[:]
        loop.notified(Notification("jobs"))
        loop.notified(Notification("mail"))
        self.clock.advance(0)
        self.assertEqual(order, ["mail", "jobs", "both"])

    def test_psycopg2_notify(self) -> None:
        """psycopg2's own Notify rings, so that the loop is an observer of txpostgres."""
        seen: list[Notification] = []
        function = self.scripted()
        loop = self.build()
        loop.add(function, channels="jobs", hint=seen.append)
        self.clock.advance(0)
        loop.notified(Notify(42, "jobs", '{"id": 7}'))
        loop.notified(Notify(42, "mail", ""))
        self.clock.advance(0)
        self.assertEqual(function.calls, 2)
        self.assertEqual(seen, [Notification("jobs", '{"id": 7}', 42)])
        self.assertEqual(seen[0].data, {"id": 7})

    def test_channels_are_told(self) -> None:
        """The loop says which channels its functions name, and when they change."""
        changes: list[frozenset[str]] = []
        loop = self.build(self.scripted())
        loop.on_channels = lambda: changes.append(loop.channels)
        jobs = self.scripted()
        loop.add(jobs, channels=["jobs", "mail"])
        loop.add(self.scripted())
        loop.remove(jobs)
        self.assertEqual(changes, [frozenset({"jobs", "mail"}), frozenset()])

    def test_a_deferred_that_rings_when_it_fires(self) -> None:
        """A ring by the callback of a function's own Deferred causes another run."""
        pending: list[Deferred[None]] = []
        loop = Loop(self.clock)

        def function() -> Deferred[None]:
            pending.append(Deferred())
            if len(pending) == 1:
                pending[0].addCallback(lambda _: loop.trigger())
            return pending[-1]

        loop.add(function)
        self.started(loop)
        pending[0].callback(None)
        self.clock.advance(0)
        self.assertEqual(len(pending), 2)
        pending[1].callback(None)
        self.clock.advance(0)
        self.assertQuiet(loop)
