"""A notification queue that is full: what it does to others, and who is never to blame."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
from psycopg2.errorcodes import PROGRAM_LIMIT_EXCEEDED
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT
from tests.servers import execute, private_server, until
from tests.waiting import in_time, wait_for
from txdoorbell.embedded import EmbeddedUnavailable, find_binaries
from txdoorbell.embedded.binaries import version
from txdoorbell.listening.session import DatabaseError
from txdoorbell.notification import State

PAGES = 64
"""The smallest queue there is; each of our notifications takes up a page of it."""

LARGE = "x" * 7000


class QueueTests(BellFaultTestCase):
    """A server with a small queue, which PostgreSQL has from 17 on."""

    def setUp(self) -> None:
        """Have the server."""
        self.server = private_server(
            self, start=_has_small_queues(), settings={"max_notify_queue_pages": str(PAGES)}
        )
        if self.server.pid is None:
            raise SkipTest("max_notify_queue_pages is known from PostgreSQL 17 on")
        self.dsn = self.server.dsn
        super().setUp()

    def queue_usage(self) -> float:
        """Return how full the queue is."""
        [(usage,)] = execute(self.dsn, "select pg_notification_queue_usage()")
        return float(usage)

    def send(self, number: int) -> None:
        """
        Commit so many large notifications, one by one.

        The server loops: a thread that asks for each waits for a busy reactor's thread each time.
        """
        execute(
            self.dsn,
            f"do $$ begin for n in 1 .. {number} loop"
            f" perform pg_notify('jobs', n || ' {LARGE}'); commit; end loop; end $$",
        )

    def send_in_rounds(self) -> None:
        """Commit five times what the queue holds, half of that at a time once it is empty."""
        for _ in range(10):
            self.send(PAGES // 2)
            until("the queue to be read", lambda: self.queue_usage() < 0.1, 5.0)

    def culprit(self) -> Any:
        """Return a session of somebody who listens and stays in a transaction."""
        session = psycopg2.connect(f"{self.dsn} application_name=culprit")
        self.addCleanup(session.close)
        with session.cursor() as cursor:
            cursor.execute("listen elsewhere")
            session.commit()
            cursor.execute("select 1")
        return session

    def test_commits_fail(self) -> None:
        """What a transaction wrote that notifies is lost with its COMMIT: the queue is full."""
        execute(self.dsn, "create table jobs ()")
        culprit = self.culprit()
        with self.assertRaises(psycopg2.Error) as caught:
            self.send(PAGES + 1)
        self.assertEqual(caught.exception.pgcode, PROGRAM_LIMIT_EXCEEDED)
        job = psycopg2.connect(self.dsn)
        self.addCleanup(job.close)
        with job.cursor() as cursor:
            cursor.execute("insert into jobs default values")
            cursor.execute("select pg_notify('jobs', %s)", (LARGE,))
            with self.assertRaises(psycopg2.Error) as caught:
                job.commit()
        self.assertIn("too many notifications", str(caught.exception))
        self.assertEqual(execute(self.dsn, "select * from jobs"), [])
        culprit.rollback()
        until("the queue to be empty", lambda: self.queue_usage() < 0.1)
        self.send(1)

    async def test_filled_by_another(self) -> None:
        """
        While somebody else has filled the queue, no probe can be sent: the doorbell is deaf.

        It says why, a ring of its own fails, and all is well when the other one has gone.
        """
        began: list[float] = []
        bell = self.doorbell(self.dsn, lambda: began.append(self.reactor().seconds()))
        await self.runs(bell, began, self.dsn)
        culprit = self.culprit()
        with self.assertRaises(psycopg2.Error):
            await deferToThread(self.send, PAGES + 1)
        await wait_for("a warning", self.warnings)
        self.assertIn(f"pid {culprit.info.backend_pid} ", self.warnings()[-1])
        await wait_for("the doubt", lambda: bell.listener.state is State.DEAF)
        await wait_for("its reason", lambda: "too many notifications" in self.reason(bell))
        with self.assertRaises(DatabaseError):
            await in_time("the ring", bell.ring("jobs", LARGE))
        culprit.rollback()
        await wait_for("health", lambda: bell.listener.state is State.LISTENING)
        await self.runs(bell, began, self.dsn)

    def warnings(self) -> list[str]:
        """Return what the log says of the queue."""
        return [text for text in self.logged_texts() if "the notification queue" in text]

    async def test_warned(self) -> None:
        """Above a quarter one warning names who holds it back; twice as full is one more."""
        listener, _ = await self.listening(self.dsn, probe_interval=0.1)
        culprit = self.culprit()
        for fuller, warnings in ((PAGES // 3, 1), (PAGES // 2, 2)):
            await deferToThread(self.send, fuller)
            await wait_for("a warning", lambda: len(self.warnings()) >= warnings)  # noqa: B023
            for _ in range(3):
                await in_time("a probe", listener.probe())
            self.assertEqual(len(self.warnings()), warnings)
            self.assertIn(f"pid {culprit.info.backend_pid} ", self.warnings()[-1])
            self.assertIn("application_name 'culprit'", self.warnings()[-1])
        self.assertGreater(listener.queue_usage or 0.0, 0.5)
        self.assertEqual(listener.state, State.LISTENING)

    def reason(self, bell: Any) -> str:
        """Return why a doorbell's listener is in its state."""
        return str(bell.listener.reason)

    async def test_function_in_thread(self) -> None:
        """A function blocks in its thread: the queue is read all the same."""
        end = threading.Event()

        def function() -> None:
            end.wait(30.0)

        await self.never_pinned(function, end.set, blocking=True)

    async def test_function_without_end(self) -> None:
        """A function's Deferred never fires: the queue is read all the same."""
        never: Deferred[None] = Deferred()
        await self.never_pinned(lambda: never, lambda: never.callback(None))

    async def test_function_that_yields(self) -> None:
        """A function keeps the processor busy, and yields: the queue is read all the same."""
        busy = [True]

        def function() -> Iterator[None]:
            while busy:
                sum(range(1000))
                yield

        await self.never_pinned(function, busy.clear)

    async def never_pinned(
        self, function: Callable[[], Any], end: Callable[[], object], **options: Any
    ) -> None:
        """Run a function, and send more than the queue holds; each COMMIT must succeed."""
        heard: list[str] = []
        bell = self.doorbell(self.dsn, **PATIENT)
        bell.switchboard.observe(lambda notification: heard.append(notification.payload), "jobs")
        await in_time("LISTEN", bell.when_listening())
        await in_time("a probe", bell.listener.probe())
        self.addCleanup(end)
        bell.add(function, name="function", **options)
        await wait_for("the function to be active", lambda: bell.loop.active == "function")
        await in_time("all the COMMITs", deferToThread(self.send_in_rounds), 30.0)
        await wait_for("all of it to be heard", lambda: len(heard) == 5 * PAGES)
        self.assertEqual(bell.loop.active, "function")
        self.assertEqual(bell.listener.state, State.LISTENING)


def _has_small_queues() -> bool:
    try:
        return int(version(find_binaries()) or 0) >= 17
    except EmbeddedUnavailable as error:
        raise SkipTest(str(error)) from None
