"""A loop where an asyncio event loop runs: futures, tasks, and coroutines that await them."""

import asyncio
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.asyncio_turns import EventLoopTestCase, turns
from tests.loops import Boom
from txdoorbell.loop import Loop
from txdoorbell.loops.call import FunctionTimeout


class AsyncioTests(EventLoopTestCase):
    """Functions that asyncio has a part in."""

    def setUp(self) -> None:
        """Make the clock of the loop; asyncio has its own."""
        self.clock = Clock()
        self.clock.advance(1_000_000.0)
        self.order: list[object] = []

    def build(self, *functions: Callable[[], object], **options: Any) -> Loop:
        """Return a started loop, which has begun its first function."""
        loop = Loop(self.clock, **options)
        for function in functions:
            loop.add(function)
        loop.startService()
        self.clock.advance(0)
        return loop

    async def turn(self) -> None:
        """Let both have their turns."""
        for _ in range(3):
            await turns()
            self.clock.advance(0)

    async def end(self, loop: Loop) -> None:
        """Stop a loop; nothing of it may be left."""
        self.successResultOf(loop.stopService())
        await self.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def noting(self, what: str) -> None:
        """Take a note."""
        self.order.append(what)

    def test_future(self) -> None:
        """A future is waited for; its result is by the table, its error an error."""

        async def main() -> None:
            first, second = asyncio.Future[float](), asyncio.Future[None]()
            loop = self.build(lambda: first, lambda: second, lambda: self.noting("next"))
            first.set_result(self.clock.seconds() + 60)
            await self.turn()
            self.assertEqual((len(loop.wakeups), self.order), (1, []))
            second.set_exception(Boom())
            await self.turn()
            self.assertEqual((len(loop.wakeups), self.order), (2, ["next"]))
            await self.end(loop)

        self.run_in_loop(main())
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_done_already(self) -> None:
        """A future that is done costs no turn."""

        async def main() -> None:
            done = asyncio.Future[None]()
            done.set_result(None)
            loop = self.build(lambda: done, lambda: self.noting("next"))
            self.assertEqual(self.order, ["next"])
            await self.end(loop)

        self.run_in_loop(main())

    def test_coroutine(self) -> None:
        """A coroutine awaits futures, ``asyncio.sleep`` and Deferreds as it likes."""

        async def main() -> None:
            deferred: Deferred[str] = Deferred()

            async def function() -> float:
                await asyncio.sleep(0)
                self.order.append(await deferred)
                async with asyncio.timeout(5):
                    await asyncio.sleep(0.001)
                return self.clock.seconds() + 60

            loop = self.build(function, lambda: self.noting("next"))
            await self.turn()
            self.assertEqual(self.order, [])
            deferred.callback("deferred")
            await asyncio.sleep(0.02)
            await self.turn()
            self.assertEqual(self.order, ["deferred", "next"])
            self.assertEqual(list(loop.wakeups), [function])
            await self.end(loop)

        self.run_in_loop(main())

    def test_timeout(self) -> None:
        """At its timeout a future, a task or a coroutine is cancelled, logged, and gone."""

        async def main() -> None:
            async def forever() -> None:
                try:
                    await asyncio.sleep(1000)
                finally:
                    self.order.append("cleaned up")

            functions: list[Callable[[], object]] = [
                asyncio.Future,
                lambda: asyncio.create_task(forever()),
                forever,
            ]
            for function in functions:
                loop = self.build(function, timeout=3)
                await self.turn()
                self.clock.advance(3)
                await self.turn()
                self.assertTrue(loop.is_quiet())
                await self.end(loop)

        self.run_in_loop(main())
        self.assertEqual(len(self.flushLoggedErrors(FunctionTimeout)), 3)
        self.assertEqual(self.order, ["cleaned up"] * 2)

    def test_goes_on(self) -> None:
        """A task that catches its cancellation and goes on is waited for: one at a time holds."""

        async def main() -> None:
            gate = asyncio.Event()

            async def stubborn() -> None:
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    await gate.wait()
                self.order.append("ends")

            loop = self.build(stubborn, lambda: self.noting("next"), timeout=3)
            await self.turn()
            self.clock.advance(3)
            await self.turn()
            self.assertEqual(self.order, [])
            gate.set()
            await self.turn()
            self.assertEqual(self.order, ["ends", "next"])
            await self.end(loop)

        self.run_in_loop(main())

    def test_crash_and_start_from_inside(self) -> None:
        """A coroutine that crashes its loop and starts it is cancelled, and then called again."""

        async def main() -> None:
            loops: list[Loop] = []

            async def function() -> None:
                self.order.append("begins")
                await asyncio.sleep(0)
                if len(self.order) == 1:
                    loops[0].crash()
                    loops[0].startService()
                try:
                    await asyncio.sleep(0)
                finally:
                    self.order.append("ends")

            loops.append(self.build(function))
            await self.turn()
            await self.turn()
            self.assertEqual(self.order, ["begins", "ends"] * 2)
            self.assertTrue(loops[0].is_quiet())
            await self.end(loops[0])

        self.run_in_loop(main())

    def test_stop_cancels(self) -> None:
        """At the deadline of a stop it is cancelled, and the stop fires when it has ended."""

        async def main() -> None:
            async def function() -> None:
                try:
                    await asyncio.sleep(1000)
                finally:
                    self.order.append("cleaned up")

            loop = self.build(function, stop_timeout=3)
            await self.turn()
            stopping = loop.stopService()
            self.clock.advance(3)
            await self.turn()
            self.successResultOf(stopping)
            self.assertEqual((self.order, loop.active), (["cleaned up"], None))
            self.assertEqual(self.clock.getDelayedCalls(), [])

        self.run_in_loop(main())
