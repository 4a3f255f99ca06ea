"""More notifications than anybody asked for: nothing grows, nothing is lost or out of order."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

import psycopg2
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT, ring
from tests.servers import execute, shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.notification import Hearable, State

STORM = int(os.environ.get("TXDOORBELL_STORM", "200000"))
"""How many notifications: 1000000 is the full size, for which the reactor is blocked for 5 s."""

BLOCKED = max(2.0, STORM / 200_000)
"""Seconds for which the reactor is blocked."""

LENGTH = 40
GROWTH = 4 * 2**20
"""Bytes by which this process may grow, whatever the size of the storm."""

_BATCH = 1000


class StormTests(BellFaultTestCase):
    """Many notifications at once, and from many sessions."""

    def setUp(self) -> None:
        """Have a server, and keep track of what is heard without keeping it."""
        self.dsn = shared_server().dsn
        super().setUp()
        self.heard = 0
        self.inversions = 0

    def count(self, notification: Hearable) -> None:
        """Be an observer that keeps two numbers."""
        number = int(notification.payload)
        if number != self.heard + 1:
            self.inversions += 1
        self.heard = number

    async def test_blocked_reactor(self) -> None:
        """
        Notifications come by the hundred thousand while the reactor is blocked.

        The server keeps them, since nobody reads. Once somebody does, its queue is empty again,
        observers have heard each one in order, no memory was needed for that, and what is due is
        one run.
        """
        began: list[int] = []
        gate: Deferred[None] = Deferred()

        def function() -> Deferred[None] | None:
            began.append(self.heard)
            return gate if self.heard == 1 else None

        bell = self.doorbell(self.dsn, function, **PATIENT)
        bell.switchboard.observe(self.count, "jobs")
        await in_time("LISTEN", bell.when_listening())
        await in_time("a probe", bell.listener.probe())
        await in_time("the loop to be quiet", bell.loop.when_quiet())
        ring(self.dsn, "jobs", "1")
        await wait_for("a run to be under way", lambda: began[-1] == 1)

        before = reset_peak_memory()
        self.storm()
        self.assertGreater(self.queue_usage(), 0.0)
        await wait_for("the storm to be heard", lambda: self.heard == STORM, 30.0)
        grown = peak_memory() - before
        self.assertEqual(self.inversions, 0)
        self.assertLess(grown, GROWTH, f"{STORM} pending rings took {grown} bytes")
        await wait_for("the server's queue to be empty", lambda: self.queue_usage() < 1e-5)
        self.assertEqual(bell.listener.state, State.LISTENING)

        gate.callback(None)
        await wait_for("the run for all of them", lambda: began[-1] != 1)
        await in_time("the loop to be quiet", bell.loop.when_quiet())
        self.assertEqual(began[began.index(1) :], [1, STORM])

    def storm(self) -> None:
        """Block the reactor, and notify meanwhile, in numbers from 2."""
        end = time.monotonic() + BLOCKED
        session = psycopg2.connect(self.dsn)
        try:
            session.autocommit = True
            with session.cursor() as cursor:
                for first in range(2, STORM + 1, _BATCH):
                    cursor.execute(
                        "select count(pg_notify('jobs', lpad(n::text, %s, '0')))"
                        " from generate_series(%s, %s) as n",
                        (LENGTH, first, min(first + _BATCH - 1, STORM)),
                    )
        finally:
            session.close()
        threading.Event().wait(max(0.0, end - time.monotonic()))

    def queue_usage(self) -> float:
        """Return how full the server's queue is."""
        [(usage,)] = execute(self.dsn, "select pg_notification_queue_usage()")
        return float(usage)

    async def test_order_of_commits(self) -> None:
        """What four sessions commit at the same time is heard in the order of the commits."""
        execute(self.dsn, "create sequence commits")
        self.addCleanup(execute, self.dsn, "drop sequence commits")
        bell = self.doorbell(self.dsn, **PATIENT)
        bell.switchboard.observe(self.count, "jobs")
        await in_time("LISTEN", bell.when_listening())
        senders = [deferToThread(self.commit, 200) for _ in range(4)]
        await in_time("the senders", gatherResults(senders))
        await wait_for("all of it to be heard", lambda: self.heard == 800)
        self.assertEqual(self.inversions, 0)

    def commit(self, number: int) -> None:
        """Commit so many notifications, whose numbers are the order of all senders' commits."""
        session = psycopg2.connect(self.dsn)
        try:
            for _ in range(number):
                with session, session.cursor() as cursor:
                    # Held until the commit: who has the next number commits next.
                    cursor.execute("select pg_advisory_xact_lock(4711)")
                    cursor.execute("select pg_notify('jobs', nextval('commits')::text)")
        finally:
            session.close()


def reset_peak_memory() -> int:
    """Begin to look for a new peak, and return the bytes in use now."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def peak_memory() -> int:
    """Return the most bytes that this process has used."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM in /proc/self/status")
