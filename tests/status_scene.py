"""Five minutes in the life of a doorbell, played on a clock of its own: for pictures."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from txdoorbell.doorbell import Doorbell
from txdoorbell.loop import Loop
from txdoorbell.processor import FOUND_WORK
from txdoorbell.status import DoorbellStatus, LockStatus
from txdoorbell.status.access import Access
from txdoorbell.status.site import StatusResource, StatusSite
from txdoorbell.testing import FakeListener


class _Listener(FakeListener):
    description = "db.example.org:5432/shop as shop"
    probe_latency = 0.00214
    queue_usage = 0.004


class Scene:
    """
    A shop's doorbell.

    :ivar site: shows its status.
    """

    kind = Doorbell

    def __init__(self, token: str) -> None:
        self._random = random.Random(5)
        self._end = time.time()
        self._clock = Clock()
        self._clock.rightNow = self._end - 330.0
        self._listener = _Listener(self._clock)
        self.bell = self.kind(self._clock, listener=self._listener, channels=["jobs"])
        self.bell.setName("shop")
        self._add_functions()
        self._resource = StatusResource(self._clock, self.bell, Access(token))
        self.site = StatusSite(self._resource, timeout=None)
        self.bell.startService()
        self._resource.start()

    def _add_functions(self) -> None:
        add, later = self.bell.add, self._later
        add(lambda: later(0.2, 4.0), name="process_jobs")
        add(lambda: later(0.05, 0.4), name="relay_outbox", channels=["outbox"])
        add(self._send, name="send_mail", channels=["mail"])
        add(lambda: self._clock.seconds() + 75, name="nightly_report", channels=["reports"])
        add(lambda: None, name="invalidate_cache", channels=["prices"])

    def _later(self, least: float, most: float) -> Deferred[object]:
        seconds = self._random.uniform(least, most)
        return deferLater(self._clock, seconds, lambda: FOUND_WORK)

    def _send(self) -> None:
        if self._random.random() < 0.3:
            raise ConnectionRefusedError("mail.example.org:587 refused the connection")

    def play(self) -> None:
        """Play it up to now."""
        self._play_until(self._end - 150.0)
        self._listener.lose("server closed the connection unexpectedly")
        self._listener.refuse("connection refused")
        self._advance(22.0)
        self._listener.regain()
        self._play_until(self._end)
        self._listener.deliver("jobs", "4711")
        self._advance(0.1)

    def tick(self) -> None:
        """Let it be now."""
        self._advance(max(0.0, time.time() - self._clock.seconds()))

    def stop(self) -> Any:
        """End it."""
        self._resource.stop()
        stopped = self.bell.stopService()
        self._advance(10.0)
        return stopped

    def _play_until(self, end: float) -> None:
        while self._clock.seconds() < end:
            channel = self._random.choice(["jobs", "jobs", "outbox", "mail", "prices", "prices"])
            self._advance(self._random.expovariate(0.25))
            for _ in range(self._random.choice([1, 1, 1, 3, 40])):
                self._listener.deliver(channel)

    def _advance(self, seconds: float) -> None:
        self._clock.pump([0.1] * int(seconds * 10) + [0, seconds % 0.1])


class _FleetBell(Doorbell):
    """A doorbell of which each loop but the first has a lock; only one is held here."""

    def status(self) -> DoorbellStatus:
        """Return the status, with locks."""
        status = super().status()
        began = status.now - 4000.0
        locks = (
            None,
            LockStatus("billing", "holding", 7, began, "anna.example.org", 4711, 2),
            LockStatus("shop mail", "standby", 12, began + 3790, "berta.example.org", 912, 2),
            LockStatus("search", "waiting", reason="this host holds 1 loop, and takes no more"),
        )
        pairs = zip(status.loops, locks, strict=True)
        return replace(status, loops=tuple(replace(loop, lock=lock) for loop, lock in pairs))


class FleetScene(Scene):
    """The same doorbell on a host of a fleet."""

    kind = _FleetBell

    def _add_functions(self) -> None:
        self.bell.add(lambda: None, name="invalidate_cache", channels=["prices"])
        for name, function in (
            ("billing", "send_bills"),
            ("mail", "send_mail"),
            ("search", "update_index"),
        ):
            loop = Loop(self._clock, name=name)
            self.bell.add_loop(loop)
            if name == "billing":
                loop.add(self._bill, name=function)

    def _bill(self) -> Deferred[object]:
        return deferLater(self._clock, self._random.uniform(1.0, 6.0), lambda: None)
