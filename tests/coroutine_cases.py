"""
Coroutines on a doorbell, on a real reactor and at a real server.

``tests.test_coroutines`` runs these cases on the reactor at hand, and on asyncio's in a process of
its own. What awaits asyncio's futures is skipped on others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest, TestCase

from tests.servers import execute, shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.doorbell import Doorbell
from txdoorbell.loop import Loop
from txdoorbell.loops.bridge import bridged


class CoroutineCases(TestCase):
    """Functions that are coroutines, in a doorbell that listens."""

    timeout = 30

    def setUp(self) -> None:
        """Get the reactor."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.steps: list[object] = []

    def needs_asyncio(self) -> None:
        """Skip the test where no event loop of asyncio runs."""
        if not hasattr(self.reactor, "_asyncioEventloop"):
            raise SkipTest("only on the asyncio reactor")

    async def bell(self, *functions: Callable[[], object], **options: Any) -> Doorbell:
        """Return a doorbell that listens to ``coroutines``, and has these functions."""
        loop = Loop(self.reactor, minimum_delay=0.05)
        bell = Doorbell(
            self.reactor, shared_server().dsn, channels="coroutines", interval=0, loop=loop
        )
        for function in functions:
            bell.add(function, **options)
        self.addCleanup(bell.stopService)
        bell.startService()
        await in_time("LISTEN", bell.when_listening())
        return bell

    def later(self, result: object = None, seconds: float = 0.01) -> Deferred[Any]:
        """Return a Deferred that fires soon."""
        return deferLater(self.reactor, seconds, lambda: result)

    def notify(self, channel: str, payload: str) -> None:
        """Notify, as somebody else's session."""
        execute(shared_server().dsn, "select pg_notify(%s, %s)", (channel, payload))

    async def test_deferreds(self) -> None:
        """An ``async def`` function awaits Deferreds, one call of it at a time."""

        async def function() -> None:
            self.steps.append("begin")
            await self.later()
            self.steps.append("end")

        bell = await self.bell(function)
        await in_time("quiet", bell.loop.when_quiet())
        self.steps.clear()
        for _ in range(3):
            await in_time("the ring", bell.ring("coroutines"))
        await in_time("quiet", bell.loop.when_quiet())
        self.assertEqual(self.steps, ["begin", "end"] * (len(self.steps) // 2))
        self.assertGreaterEqual(len(self.steps), 2)

    async def test_both_kinds(self) -> None:
        """On the asyncio reactor it awaits futures, tasks and Deferreds in any order."""
        self.needs_asyncio()

        async def function() -> None:
            self.steps.append(await self.later("deferred"))
            self.steps.append(await asyncio.sleep(0.01, "future"))
            async with asyncio.TaskGroup() as group:
                task = group.create_task(bridged(self.awaited(self.later("task"))))
                await asyncio.sleep(0)
            self.steps.append(task.result())
            try:
                async with asyncio.timeout(0.01):
                    await self.later("in vain", 60)
            except TimeoutError:
                self.steps.append("timeout")

        bell = await self.bell()
        bell.add(function)
        await in_time("quiet", bell.loop.when_quiet())
        self.assertEqual(self.steps, ["deferred", "future", "task", "timeout"])

    async def awaited(self, awaitable: Awaitable[Any]) -> Any:
        """Await something, in a coroutine."""
        return await awaitable

    async def test_its_result_and_its_error(self) -> None:
        """What it returns and raises means what it would of any function."""
        results: list[object] = [KeyError("no stock"), 0.0, None]

        async def function() -> object:
            self.steps.append(len(results))
            await self.later()
            result = results.pop(0) if results else None
            if isinstance(result, KeyError):
                raise result
            return result

        await self.bell(function)
        await wait_for("three calls", lambda: not results)
        self.assertEqual(self.steps[:3], [3, 2, 1])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    async def test_timeout(self) -> None:
        """A coroutine that takes too long is cancelled; the log says that it took too long."""
        asyncio_runs = hasattr(self.reactor, "_asyncioEventloop")

        async def function() -> None:
            try:
                await (asyncio.sleep(60) if asyncio_runs else self.later(None, 60))
            except (asyncio.CancelledError, CancelledError):
                self.steps.append("cancelled")
                raise

        bell = await self.bell(function, timeout=0.05, retry=False)
        await wait_for("the cancellation", lambda: self.steps)
        await in_time("the stop", bell.stopService())
        self.assertEqual(len(self.flushLoggedErrors(TimeoutError)), len(self.steps))

    async def test_stop(self) -> None:
        """The stop waits for a coroutine in flight."""

        async def function() -> None:
            self.steps.append("begin")
            await self.later(None, 0.1)
            self.steps.append("end")

        bell = await self.bell(function)
        await wait_for("the call", lambda: self.steps)
        await in_time("the stop", bell.stopService())
        self.assertEqual(self.steps[-1], "end")

    async def test_notifications(self) -> None:
        """``async for`` follows notifications, to the end of the service."""
        bell = await self.bell()
        reading = Deferred.fromCoroutine(self.read(bell, "news"))
        await self.heard_and_ended(bell, reading)

    async def test_notifications_in_a_task(self) -> None:
        """So it does in a task of asyncio."""
        self.needs_asyncio()
        bell = await self.bell()
        task = asyncio.get_running_loop().create_task(self.read(bell, "news"))
        await self.heard_and_ended(bell, Deferred.fromFuture(task))

    async def test_notifications_in_a_function(self) -> None:
        """And in a function of the loop."""
        bell = await self.bell()
        reading = bell.loop.submit(self.read, bell, "news")
        await self.heard_and_ended(bell, reading)

    async def read(self, bell: Doorbell, channel: str) -> str:
        """Read notifications to their end, with a wait after each."""
        async for notification in bell.notifications(channel):
            self.steps.append(notification.payload)
            await bell.when_listening()
        return "ended"

    async def heard_and_ended(self, bell: Doorbell, reading: Deferred[str]) -> None:
        """Notify a reader, stop its service, and look at what it has read."""
        await wait_for("the subscription", lambda: "news" in bell.switchboard.active_channels)
        await in_time("LISTEN", bell.when_listening())
        for payload in "123":
            self.notify("news", payload)
        await wait_for("the news", lambda: len(self.steps) == 3)
        await in_time("the stop", bell.stopService())
        self.assertEqual(await in_time("the reader's end", reading), "ended")
        self.assertEqual(self.steps, ["1", "2", "3"])
