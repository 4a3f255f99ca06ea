"""``status()``: a snapshot of a doorbell."""

from __future__ import annotations

import json
import operator
from copy import deepcopy
from dataclasses import FrozenInstanceError
from typing import cast

from twisted.internet.defer import CancelledError, Deferred

from tests.bells import BellTestCase
from txdoorbell.doorbell import Doorbell
from txdoorbell.loop import Loop
from txdoorbell.processor import FOUND_WORK
from txdoorbell.status import ChannelStatus, FunctionStatus


class StatusTests(BellTestCase):
    """What a snapshot says."""

    def function(self, bell: Doorbell, name: str = "process") -> FunctionStatus:
        """Return how a function of the first loop is."""
        (found,) = [f for f in bell.status().loops[0].functions if f.name == name]
        return found

    def test_immutable(self) -> None:
        """A snapshot can't be changed, and does not change by itself."""
        bell = self.running()
        status = bell.status()
        self.assertRaises(FrozenInstanceError, setattr, status, "running", False)
        self.successResultOf(bell.stopService())
        self.assertTrue(status.running)

    def test_immutable_throughout(self) -> None:
        """Nor can what is in it; so it can be hashed, and copied."""
        bell = self.running()
        status = bell.status()
        runs = cast("dict[str, int]", status.loops[0].runs)
        self.assertRaises(TypeError, operator.setitem, runs, "ring", 7)
        self.assertRaises(TypeError, runs.update, ring=7)
        self.assertRaises(TypeError, runs.pop, "ring")
        self.assertEqual(hash(status), hash(deepcopy(status)))
        self.assertEqual(status, deepcopy(status))
        status.as_dict()["loops"][0]["runs"]["ring"] = 7
        self.assertEqual(status, bell.status())

    def test_json(self) -> None:
        """It can be written as JSON."""
        bell = self.running()
        bell.add(lambda: 4711.5, channels=["b", "a"], name="process")
        self.turn()
        text = json.loads(json.dumps(bell.status().as_dict()))
        self.assertEqual(text["loops"][0]["functions"][0]["channels"], ["a", "b"])

    def test_a_function(self) -> None:
        """A function has its counts, its last run, and why it was called."""
        bell = self.running()
        self.clock.advance(7)
        bell.add(lambda: FOUND_WORK, name="process")
        self.turn()
        self.rung("doorbell")
        process = self.function(bell)
        self.assertEqual((process.runs, process.errors, process.finds), (2, 0, 2))
        self.assertEqual((process.cause, process.began, process.took), ("ring", 7.0, 0.0))
        self.assertIn("FOUND_WORK", process.result)
        self.assertEqual(process.succeeded, 7.0)

    def test_an_error(self) -> None:
        """An error is there with its traceback, and with the time of the next try."""
        bell = self.running()
        bell.add(lambda: 1 / 0, name="process")
        self.turn()
        process = self.function(bell)
        self.assertEqual((process.errors, process.failures_in_a_row, process.wakes), (1, 1, 5.0))
        self.assertIn("ZeroDivisionError", process.error or "")
        self.assertIsNone(process.succeeded)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_active(self) -> None:
        """What is active is named, with since when."""
        bell = self.running()
        self.clock.advance(3)
        active = self.unfired(bell)
        self.clock.advance(4)
        loop = bell.status().loops[0]
        self.assertEqual((loop.active, loop.active_since, loop.state), ("active", 3.0, "waiting"))
        self.assertTrue(self.function(bell, "active").active)
        active.callback(None)
        self.turn()
        self.assertIsNone(bell.status().loops[0].active)
        self.assertEqual(self.function(bell, "active").took, 4.0)

    def test_a_sleeper(self) -> None:
        """A sleeper has the time of its wake-up."""
        bell = self.running()
        bell.add(lambda: 60.0, name="process")
        self.turn()
        self.assertEqual(self.function(bell).wakes, 60.0)

    def test_rings(self) -> None:
        """A loop has the numbers of its rings, and its runs by cause."""
        bell = self.running()
        self.rung("doorbell")
        loop = bell.status().loops[0]
        self.assertEqual(loop.rung, loop.covered)
        self.assertEqual(loop.rung, bell.loop.rung)

    def test_channels(self) -> None:
        """Each channel has its notifications, and who hears it."""
        bell = self.running()
        bell.subscribe("log", "chat", lambda *heard: None)
        self.turn()
        for channel in ("chat", "chat", "doorbell"):
            self.rung(channel)
        self.assertEqual(
            bell.status().channels,
            (
                ChannelStatus("doorbell", 1, True, False, rings_loops=True, subscribers=0),
                ChannelStatus("chat", 2, True, False, rings_loops=False, subscribers=1),
            ),
        )

    def test_ready(self) -> None:
        """A doorbell that hears on every channel is ready, and nothing is wrong with it."""
        status = self.running().status()
        self.assertEqual((status.unready, status.sick), ((), ()))
        self.assertEqual(status.listener.channels, ("doorbell",))

    def test_not_running(self) -> None:
        """One that isn't running says so."""
        self.assertEqual(self.build().status().unready, ("the service is not running",))

    def test_deaf(self) -> None:
        """One that does not hear says why, and since when."""
        bell = self.running()
        self.clock.advance(9)
        self.listener.deafen("a probe was not heard")
        self.turn()
        status = bell.status()
        self.assertIn("deaf", status.unready[0])
        self.assertEqual((status.listener.state, status.listener.since), ("deaf", 9.0))

    def test_not_listened_yet(self) -> None:
        """A channel whose LISTEN is not committed yet is named."""
        bell = self.running()
        bell.add_channels("late")
        self.assertEqual(bell.status().unready, ("LISTEN is not committed for 'late'",))

    def test_stuck(self) -> None:
        """A stuck function makes the process sick, by name."""
        bell = self.running(loop=Loop(self.clock, timeout=1, stop_timeout=1))
        end: Deferred[None] = Deferred()

        async def stubborn() -> None:
            try:
                await Deferred()
            except CancelledError:
                await end

        bell.add(stubborn, name="stubborn")
        self.turn()
        self.clock.pump([1, 5])
        self.assertEqual(bell.status().sick, ("stubborn is stuck in loop",))
        end.callback(None)
        self.turn()
        self.assertEqual(bell.status().sick, ())

    def test_misses(self) -> None:
        """Silent misses are counted."""
        bell = self.running()
        bell.add(lambda: FOUND_WORK)
        self.after(60)
        self.after(5)
        self.assertEqual(bell.status().misses, 1)
