"""The doorbell service: who is rung by what, and how it starts and stops."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from twisted.application.service import Application, IService, Service
from twisted.internet.defer import Deferred

from tests.bells import BellTestCase
from tests.logs import LogMixin
from tests.stepping_clock import SteppingClock
from txdoorbell.doorbell import Doorbell
from txdoorbell.loop import DelegateLoop, Loop
from txdoorbell.notification import ListenerStopped, State
from txdoorbell.switchboard import Switchboard
from txdoorbell.testing import FakeListener


class RingTests(BellTestCase):
    """A notification on a channel runs the functions that hear it."""

    def test_a_ring_runs_a_function(self) -> None:
        """A NOTIFY on the doorbell's channel runs what was added."""
        bell = self.running(channels=["jobs"])
        bell.add(self.noting("process"))
        self.turn()
        self.assertEqual(self.rung("jobs"), ["process"])

    def test_one_channel_may_be_a_str(self) -> None:
        """``channels="jobs"`` is one channel, not four."""
        self.assertEqual(self.build(channels="jobs").channels, {"jobs"})

    def test_the_usual_channel(self) -> None:
        """Who names no channel is rung on ``doorbell``."""
        self.assertEqual(self.build().channels, {"doorbell"})

    def test_a_function_names_its_channel(self) -> None:
        """A function added with a channel is rung there, and LISTEN follows without a reconnect."""
        bell = self.running()
        bell.add(self.noting("relay"), channels=["outbox"])
        self.turn()
        self.assertEqual(bell.channels, {"doorbell", "outbox"})
        self.assertEqual(self.listener.listened, {"doorbell", "outbox"})
        self.assertEqual(self.rung("outbox"), ["relay"])
        self.assertEqual(self.rung("doorbell"), [])

    def test_removing_the_function_stops_listening(self) -> None:
        """When nobody names a channel any more, UNLISTEN follows."""
        bell = self.running()
        relay = self.noting("relay")
        bell.add(relay, channels=["outbox"])
        bell.remove(relay)
        self.turn()
        self.assertEqual(self.listener.listened, {"doorbell"})

    def test_a_subscriber_rings_nothing(self) -> None:
        """A channel that is only subscribed to runs no function, now or when LISTEN is made."""
        bell = self.running()
        bell.add(self.noting("process"))
        self.turn()
        self.ran.clear()
        bell.subscribe("log", "chat", lambda *heard: self.ran.append(heard))
        self.turn()
        self.assertEqual(self.ran, [])
        self.assertEqual(self.rung("chat", "[1]"), [("log", "chat", [1], 0)])
        self.assertEqual(bell.channels, {"doorbell"})

    def test_channels_added_later(self) -> None:
        """A channel added to a running doorbell rings its loops, with what may have been missed."""
        bell = self.running()
        bell.add(self.noting("process"))
        self.turn()
        self.ran.clear()
        bell.add_channels(["late"])
        self.turn()
        self.assertEqual(self.ran, ["process"])
        self.assertEqual(self.rung("late"), ["process"])

    def test_channels_removed(self) -> None:
        """A channel removed rings nothing, and is not listened to."""
        bell = self.running(channels=["a", "b"])
        bell.add(self.noting("process"))
        bell.remove_channels("a")
        self.turn()
        self.assertEqual(self.listener.listened, {"b"})
        self.assertEqual(bell.channels, {"b"})

    def test_a_channel_removed_that_a_function_names(self) -> None:
        """Removing a channel takes nothing from the functions that name it themselves."""
        bell = self.running(channels=["a", "b"])
        bell.add(self.noting("own"), channels="a")
        bell.add(self.noting("any"))
        bell.remove_channels("a")
        self.turn()
        self.assertEqual(bell.channels, {"a", "b"})
        self.assertEqual(self.rung("a"), ["own", "any"])

    def test_removing_an_unknown_channel(self) -> None:
        """A channel that isn't there is named in the error."""
        error = self.assertRaises(KeyError, self.build().remove_channels, "nope")
        self.assertIn("nope", str(error))

    def test_muted_channel(self) -> None:
        """A muted channel is not listened to; unmuting it makes good what was missed."""
        bell = self.running()
        bell.add(self.noting("process"))
        bell.mute_channels("doorbell")
        self.turn()
        self.assertEqual(self.listener.listened, frozenset())
        self.ran.clear()
        bell.unmute_channels()
        self.turn()
        self.assertEqual(self.ran, ["process"])

    def test_bad_channel(self) -> None:
        """A channel over 63 bytes is refused when the doorbell is made; the text says the limit."""
        error = self.assertRaises(ValueError, self.build, channels=["x" * 64])
        self.assertIn("63", str(error))


class LoopTests(BellTestCase):
    """Several loops share one session."""

    def test_further_loop(self) -> None:
        """A further loop is rung beside the first, and waits for nothing there."""
        bell = self.running()
        active = self.unfired(bell)
        other = Loop(self.clock, name="other")
        other.add(self.noting("other"))
        bell.add_loop(other)
        self.turn()
        self.assertEqual(self.rung("doorbell"), ["other"])
        active.callback(None)

    def test_channels_of_a_further_loop(self) -> None:
        """A channel that only one loop's functions name rings that loop only."""
        bell = self.running()
        bell.add(self.noting("first"))
        other = Loop(self.clock)
        bell.add_loop(other)
        other.add(self.noting("other"), channels="others")
        self.turn()
        self.assertEqual(self.rung("others"), ["other"])

    def test_loops_of_one_name(self) -> None:
        """Loops that nobody named are told apart by a number."""
        bell = self.build()
        bell.add_loop(Loop(self.clock))
        bell.add_loop(Loop(self.clock))
        self.assertEqual([loop.name for loop in bell.loops], ["loop", "loop-2", "loop-3"])

    def test_delegate_loop(self) -> None:
        """A loop that asks for its functions is rung on the doorbell's channels."""
        bell = self.running()
        delegated = self.noting("delegated")
        bell.add_loop(DelegateLoop(self.clock, lambda: [delegated]))
        self.turn()
        self.assertEqual(self.rung("doorbell"), ["delegated"])

    def test_given_loop(self) -> None:
        """The first loop may be made by its user, with its own settings."""
        loop = Loop(self.clock, name="mine")
        self.assertIs(self.build(loop=loop).loop, loop)

    def test_subclass(self) -> None:
        """What a doorbell lends from its parts is in its class, so a subclass may build on it."""
        added = []

        class Counting(Doorbell):
            def add(self, processor: Callable[[], object], **options: Any) -> None:
                added.append(processor)
                super().add(processor, **options)

        bell = Counting(self.clock, listener=FakeListener(self.clock))
        bell.add(self.noting("process"), channels=["jobs"])
        self.assertEqual([*bell.loop.get_processors()], added)
        self.assertIn("jobs", bell.channels)
        self.assertEqual(signature(Doorbell.subscribe), signature(Switchboard.subscribe))
        self.assertIn("gives up for good", Doorbell.on_resign.__doc__ or "")


class CatchUpTests(BellTestCase):
    """What could not be delivered is made good."""

    def test_everything_runs_when_the_session_is_back(self) -> None:
        """A ring in the gap is lost in PostgreSQL; everything runs once LISTEN is committed."""
        bell = self.running()
        bell.add(self.noting("process"))
        self.turn()
        self.listener.lose()
        self.assertEqual(self.rung("doorbell"), [])
        self.listener.regain()
        self.turn()
        self.assertEqual(self.ran, ["process"])

    def test_once_for_the_start_and_once_for_the_session(self) -> None:
        """Everything runs when the service starts, and once more when LISTEN is committed."""
        bell = self.build()
        bell.add(self.noting("process"))
        bell.startService()
        self.turn()
        self.assertEqual(self.ran, ["process", "process"])

    def test_start_without_a_server(self) -> None:
        """A server that is not there yet keeps nothing from running at the start."""
        self.listener.refuse()
        bell = self.build()
        bell.add(self.noting("process"))
        bell.startService()
        self.turn()
        self.assertEqual(self.ran, ["process"])


class SafetyNetTests(BellTestCase):
    """Everything runs at intervals, whether it was rung or not."""

    def test_each_interval(self) -> None:
        """Everything runs each 60 s."""
        self.running().add(self.noting("process"))
        self.turn()
        self.assertEqual(self.after(59.9), [])
        self.assertEqual(self.after(0.1), ["process"])
        self.assertEqual(self.after(60), ["process"])

    def test_never(self) -> None:
        """An interval of 0 is no safety net."""
        self.running(interval=0).add(self.noting("process"))
        self.turn()
        self.assertEqual(self.after(3600), [])

    def test_a_fifth_while_deaf(self) -> None:
        """While the listener is deaf everything runs five times as often."""
        self.running().add(self.noting("process"))
        self.turn()
        self.listener.deafen()
        self.turn()
        self.assertEqual(self.after(11.9), [])
        self.assertEqual(self.after(0.1), ["process"])

    def test_back_to_the_interval(self) -> None:
        """Once it hears again the interval is what it was."""
        self.running().add(self.noting("process"))
        self.listener.deafen()
        self.turn()
        self.listener.regain()
        self.turn()
        self.assertEqual(self.after(59), [])
        self.assertEqual(self.after(1), ["process"])

    def test_changed_while_it_runs(self) -> None:
        """A new interval holds at once."""
        bell = self.running()
        bell.add(self.noting("process"))
        self.turn()
        bell.interval = 10
        self.assertEqual(self.after(10), ["process"])
        self.assertEqual(bell.interval, 10)

    def test_bad_interval(self) -> None:
        """A negative interval is refused, and named."""
        error = self.assertRaises(ValueError, self.build, interval=-1)
        self.assertIn("interval", str(error))


class IdleTests(BellTestCase):
    """Silence can be noticed."""

    def test_on_idle(self) -> None:
        """``on_idle`` is called each time no notification came for so long."""
        self.running(idle_timeout=10, on_idle=self.noting("idle"))
        self.assertEqual(self.after(9.9), [])
        self.assertEqual(self.after(0.1), ["idle"])
        self.assertEqual(self.after(10), ["idle"])

    def test_a_notification_puts_it_off(self) -> None:
        """The time is counted from the last notification."""
        self.running(idle_timeout=10, on_idle=self.noting("idle"))
        self.clock.advance(6)
        self.listener.deliver("doorbell")
        self.assertEqual(self.after(6), [])
        self.assertEqual(self.after(4), ["idle"])

    def test_its_error(self) -> None:
        """An error of ``on_idle`` is logged, and it is called again all the same."""

        def fails() -> None:
            self.ran.append("idle")
            raise RuntimeError("on_idle")

        self.running(idle_timeout=10, on_idle=fails)
        self.clock.pump([10, 10])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_bad_timeout(self) -> None:
        """A timeout of 0 is refused, and named."""
        error = self.assertRaises(ValueError, self.build, idle_timeout=0)
        self.assertIn("idle_timeout", str(error))


class StopTests(LogMixin, BellTestCase):
    """Starting, stopping, giving up."""

    def test_stop_waits_for_the_active_function(self) -> None:
        """``stopService()`` fires when the active function has finished."""
        bell = self.running()
        active = self.unfired(bell)
        stopping = bell.stopService()
        self.assertNoResult(stopping)
        self.assertNotEqual(self.listener.state, State.STOPPED)
        active.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.listener.state, State.STOPPED)

    def test_a_function_rings_to_the_last(self) -> None:
        """A function that finishes while the service stops can still ring another service."""
        bell = self.running()
        active: Deferred[None] = Deferred()

        async def finish() -> None:
            await active
            await bell.ring("other", "done")

        bell.add(finish)
        self.turn()
        stopping = bell.stopService()
        active.callback(None)
        self.turn()
        self.successResultOf(stopping)
        self.assertEqual([(n.channel, n.payload) for n in self.listener.sent], [("other", "done")])

    def test_restart(self) -> None:
        """A stopped service can be started again; everything runs, and rings are heard."""
        bell = self.running()
        bell.add(self.noting("process"))
        self.successResultOf(bell.stopService())
        bell.startService()
        self.turn()
        self.assertEqual(self.rung("doorbell"), ["process"])

    def test_restart_in_one(self) -> None:
        """``restart()`` waits for the active function, then makes a new session."""
        bell = self.running()
        active = self.unfired(bell)
        restarting = bell.restart()
        self.turn()
        self.assertFalse(bell.running)
        self.assertNoResult(restarting)
        active.callback(None)
        self.turn()
        self.successResultOf(restarting)
        self.assertTrue(bell.running)
        self.assertEqual(self.listener.state, State.LISTENING)

    def test_start_while_it_stops(self) -> None:
        """Started while it waits for the active function, it goes on to listen."""
        bell = self.running()
        active = self.unfired(bell)
        stopping = bell.stopService()
        bell.startService()
        active.callback(None)
        self.turn()
        self.successResultOf(stopping)
        self.assertEqual(self.listener.state, State.LISTENING)

    def test_when_stopped(self) -> None:
        """``when_stopped()`` fires when nothing is active any more, whoever stopped it."""
        bell = self.build(stop_channel="halt")
        before = bell.when_stopped()
        bell.startService()
        self.turn()
        active = self.unfired(bell)
        self.rung("halt")
        self.assertNoResult(before)
        active.callback(None)
        self.turn()
        self.successResultOf(before)
        self.successResultOf(bell.when_stopped())
        bell.startService()
        self.assertNoResult(bell.when_stopped())

    def test_start_twice(self) -> None:
        """Starting a running service changes nothing."""
        bell = self.running()
        bell.add(self.noting("process"))
        self.turn()
        self.ran.clear()
        bell.startService()
        self.turn()
        self.assertEqual(self.ran, [])

    def test_child_of_an_application(self) -> None:
        """It is set as the child of an application like any service."""
        application = Application("app")
        bell = self.build()
        bell.setServiceParent(application)
        IService(application).startService()
        self.turn()
        self.assertEqual(self.listener.state, State.LISTENING)
        self.successResultOf(IService(application).stopService())

    def test_a_child_of_its_own(self) -> None:
        """A service that is set as its child is stopped with it."""
        bell = self.running()
        child = Service()
        child.setServiceParent(bell)
        self.assertTrue(child.running)
        self.successResultOf(bell.stopService())
        self.assertFalse(child.running)

    def test_stop_channel(self) -> None:
        """A NOTIFY on the stop channel stops the service."""
        bell = self.running(stop_channel="halt")
        self.rung("halt")
        self.assertFalse(bell.running)
        self.assertEqual(self.listener.state, State.STOPPED)

    def test_stop_channel_rings_nothing(self) -> None:
        """The stop channel runs no function."""
        bell = self.running(stop_channel="halt")
        bell.add(self.noting("process"))
        self.turn()
        self.assertEqual(self.rung("halt"), [])

    def test_no_stop_channel(self) -> None:
        """Nothing that is notified stops a service, unless it was asked for."""
        bell = self.running()
        self.rung("doorbell", "stop")
        self.assertTrue(bell.running)

    def test_resigns(self) -> None:
        """A service that has not been listening for too long stops itself, and says so."""
        self.capture_logs()
        bell = self.running(give_up_after=100)
        bell.on_resign(self.noting("resigned"))
        self.listener.lose()
        self.turn()
        self.assertEqual(self.after(99.9), [])
        self.assertEqual(self.after(0.1), ["resigned"])
        self.assertFalse(bell.running)
        said = "doorbell resigns: it has not been listening for 100 s"
        self.assertIn(said, self.logged_texts())

    def test_does_not_resign_while_it_hears(self) -> None:
        """The patience begins anew with each loss."""
        bell = self.running(give_up_after=100)
        self.listener.lose()
        self.turn()
        self.clock.advance(99)
        self.listener.regain()
        self.turn()
        self.clock.advance(1000)
        self.assertTrue(bell.running)

    def test_a_resignator_fails(self) -> None:
        """An error of one function given to ``on_resign`` is logged; the others are called."""
        bell = self.running(give_up_after=100)
        bell.on_resign(lambda: 1 / 0)
        bell.on_resign(self.noting("resigned"))
        self.listener.lose()
        self.turn()
        self.assertEqual(self.after(100), ["resigned"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class PollTests(BellTestCase):
    """Everything once, now."""

    def test_running(self) -> None:
        """On a running service everything runs; the Deferred fires when it is quiet."""
        bell = self.running()
        active: Deferred[None] = Deferred()
        bell.add(self.noting("process"))
        bell.add(lambda: active)
        self.turn()
        active.callback(None)
        self.turn()
        self.ran.clear()
        polled = bell.poll()
        self.turn()
        self.assertEqual(self.ran, ["process"])
        self.successResultOf(polled)

    def test_not_running(self) -> None:
        """On a service that isn't running everything runs, and nothing is listened to."""
        bell = self.build()
        bell.add(self.noting("process"))
        polled = bell.poll()
        self.turn()
        self.successResultOf(polled)
        self.assertEqual(self.ran, ["process"])
        self.assertEqual(self.listener.state, State.STOPPED)
        self.assertFalse(bell.loop.running)

    def test_then_started(self) -> None:
        """A service that was polled can be started like any other."""
        bell = self.build()
        bell.add(self.noting("process"))
        bell.poll()
        self.turn()
        bell.startService()
        self.turn()
        self.assertEqual(self.rung("doorbell"), ["process"])


class RingingTests(BellTestCase):
    """Ringing others, and waiting for the ear."""

    def test_ring(self) -> None:
        """``ring`` sends a NOTIFY; the Deferred fires once it is committed."""
        bell = self.running()
        ringing = bell.ring("other", "payload")
        self.turn()
        self.successResultOf(ringing)
        self.assertEqual([n.payload for n in self.listener.sent], ["payload"])

    def test_payload_too_long(self) -> None:
        """A payload over 7999 bytes is refused before anything is sent; the text says the limit."""
        error = self.assertRaises(ValueError, self.running().ring, "c", "x" * 8000)
        self.assertIn("7999", str(error))
        self.assertEqual(self.listener.sent, ())

    def test_channel_too_long(self) -> None:
        """So is a channel over 63 bytes."""
        error = self.assertRaises(ValueError, self.running().ring, "é" * 32)
        self.assertIn("63", str(error))

    def test_when_listening(self) -> None:
        """``when_listening()`` fires once LISTEN is committed."""
        bell = self.build()
        waiting = bell.when_listening()
        self.assertNoResult(waiting)
        bell.startService()
        self.turn()
        self.successResultOf(waiting)

    def test_stopped_before_it_listens(self) -> None:
        """It fails when the service is stopped first."""
        self.listener.refuse()
        bell = self.running()
        waiting = bell.when_listening()
        bell.stopService()
        self.failureResultOf(waiting, ListenerStopped)


class SteppedClockTests(BellTestCase):
    """The wall clock is stepped, beside the time that really passes."""

    def setUp(self) -> None:
        """Begin with a clock that can be stepped."""
        super().setUp()
        self.wall = self.clock = SteppingClock()
        self.listener = FakeListener(self.clock)

    def test_set_forward(self) -> None:
        """A wall clock set forward rings nothing early, not even the safety net."""
        self.running().add(self.noting("process"))
        self.turn()
        self.ran.clear()
        self.wall.step(3600)
        self.turn()
        self.assertEqual(self.ran, [])
        self.wall.let_pass(60)
        self.turn()
        self.assertEqual(self.ran, ["process"])

    def test_wakes_at_its_time(self) -> None:
        """A sleeper whose time the step has passed over is woken, not before the minimum delay."""
        bell = self.running()
        times = [self.clock.seconds() + 600, None]

        def sleeper() -> float | None:
            self.ran.append("slept")
            return times.pop(0)

        bell.add(sleeper)
        self.turn()
        self.ran.clear()
        self.wall.step(3600)
        self.wall.let_pass(4.9)
        self.assertEqual(self.ran, [])
        self.wall.let_pass(0.1)
        self.turn()
        self.assertEqual(self.ran, ["slept"])
