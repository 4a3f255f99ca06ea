"""Coroutines that await Deferreds and asyncio's futures."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.asyncio_turns import EventLoopTestCase, turns
from txdoorbell.loops.bridge import PortableDeferred, bridged, call, from_coroutine, from_future

_Result = TypeVar("_Result")

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


async def wait_for(awaitable: Awaitable[_Result]) -> _Result:
    """Await something, in a coroutine."""
    return await awaitable


class ResultTests(EventLoopTestCase):
    """What a coroutine in an event loop can await, and what comes of it."""

    def test_both_in_one(self) -> None:
        """One coroutine awaits a Deferred, a future, a task, and one that has fired already."""

        async def main() -> list[int]:
            deferred: Deferred[int] = Deferred()
            future = asyncio.get_running_loop().create_future()

            async def mixed() -> list[int]:
                task = asyncio.ensure_future(asyncio.sleep(0, 3))
                return [await deferred, await future, await task, await succeed(4)]

            running = from_coroutine(mixed())
            await turns()
            deferred.callback(1)
            await turns()
            future.set_result(2)
            await turns()
            return self.successResultOf(running)

        self.assertEqual(self.run_in_loop(main()), [1, 2, 3, 4])

    def test_a_failure_is_raised(self) -> None:
        """A Deferred that fails raises where it is awaited, and nothing is logged."""

        async def main() -> tuple[str, str]:
            deferred: Deferred[int] = Deferred()

            async def careful() -> str:
                try:
                    await deferred
                except KeyError as error:
                    return repr(error)
                return "nothing"

            caught = from_coroutine(careful())
            raised = from_coroutine(wait_for(fail(IndexError(2))))
            await turns()
            deferred.errback(KeyError(1))
            await turns()
            return self.successResultOf(caught), repr(self.failureResultOf(raised).value)

        self.assertEqual(self.run_in_loop(main()), ("KeyError(1)", "IndexError(2)"))
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_task_group(self) -> None:
        """A task group works; its own tasks await Deferreds when they are ``bridged``."""

        async def main() -> int:
            deferred: Deferred[int] = Deferred()

            async def grouped() -> int:
                async with asyncio.TaskGroup() as group:
                    first = group.create_task(bridged(wait_for(deferred)))
                    second = group.create_task(asyncio.sleep(0, 20))
                return first.result() + second.result()

            running = from_coroutine(grouped())
            await turns()
            deferred.callback(1)
            await turns()
            return self.successResultOf(running)

        self.assertEqual(self.run_in_loop(main()), 21)

    def test_awaited_by_asyncio_itself(self) -> None:
        """What ``bridged`` returns can be awaited, and goes where asyncio wants a coroutine."""

        async def main() -> int:
            deferred: Deferred[int] = Deferred()
            asyncio.get_running_loop().call_soon(deferred.callback, 3)
            first = await bridged(wait_for(deferred))
            return first + await asyncio.wait_for(bridged(wait_for(succeed(4))), 1)

        self.assertEqual(self.run_in_loop(main()), 7)

    def test_context(self) -> None:
        """A coroutine keeps its context variables, and leaves those of others alone."""

        async def main() -> tuple[str, str]:
            deferred: Deferred[str] = Deferred()

            async def named() -> str:
                tenant.set("alice")
                await deferred
                return tenant.get()

            running = from_coroutine(named())
            await turns()
            tenant.set("bob")
            deferred.callback("")
            await turns()
            return self.successResultOf(running), tenant.get()

        self.assertEqual(self.run_in_loop(main()), ("alice", "bob"))

    def test_its_name(self) -> None:
        """A task shows the name of your coroutine."""

        async def main() -> str:
            task = asyncio.create_task(bridged(wait_for(succeed(1))))
            await task
            return repr(task)

        self.assertIn("wait_for", self.run_in_loop(main()))


class CallTests(EventLoopTestCase):
    """Calling a function that may be anything."""

    def test_any_kind(self) -> None:
        """A value, a Deferred, a coroutine and an error all come in a Deferred."""

        async def later() -> int:
            return await asyncio.sleep(0, 3)

        async def main() -> None:
            called = [call(function) for function in (lambda: 1, lambda: succeed(2), later, _raise)]
            await turns()
            self.assertEqual([self.successResultOf(result) for result in called[:3]], [1, 2, 3])
            self.failureResultOf(called[3], KeyError)

        self.run_in_loop(main())


class CancellationTests(EventLoopTestCase):
    """Cancelling goes both ways."""

    def cancelled(self, reaction: Coroutine[Any, Any, Any]) -> object:
        """Run a coroutine, cancel it after some turns, and return its value or error."""

        async def main() -> object:
            running = from_coroutine(reaction)
            await turns()
            running.cancel()
            await turns()
            outcome: list[Any] = []
            running.addErrback(lambda failure: failure.value).addCallback(outcome.append)
            return outcome[0]

        return self.run_in_loop(main())

    def test_the_deferred_is_cancelled(self) -> None:
        """Cancelling what runs a coroutine cancels the Deferred that it awaits."""
        deferreds: list[Deferred[None]] = []
        deferred: Deferred[None] = Deferred(deferreds.append)
        error = self.cancelled(wait_for(deferred))
        self.assertIsInstance(error, CancelledError)
        self.assertEqual(deferreds, [deferred])

    def test_the_future_is_cancelled(self) -> None:
        """So it does with a future; the error is Twisted's."""

        async def waits() -> None:
            await asyncio.get_running_loop().create_future()

        self.assertIsInstance(self.cancelled(waits()), CancelledError)

    def test_it_ends_when_the_coroutine_ends(self) -> None:
        """A coroutine may clean up after its cancellation; only then does its Deferred fire."""

        async def main() -> tuple[list[str], list[str]]:
            done: Deferred[None] = Deferred()
            steps = []

            async def thorough() -> None:
                try:
                    await Deferred()
                except asyncio.CancelledError:
                    steps.append("cancelled")
                    await done
                    steps.append("cleaned up")
                    raise

            running = from_coroutine(thorough())
            await turns()
            running.cancel()
            await turns()
            self.assertNoResult(running)
            before = list(steps)
            done.callback(None)
            await turns()
            self.failureResultOf(running, CancelledError)
            return before, steps

        before, after = self.run_in_loop(main())
        self.assertEqual((before, after), (["cancelled"], ["cancelled", "cleaned up"]))

    def test_cancelled_twice(self) -> None:
        """A coroutine that goes on after a cancellation gets the second one too."""

        async def main() -> int:
            cancelled = 0

            async def stubborn() -> int:
                nonlocal cancelled
                while cancelled < 2:
                    try:
                        await Deferred()
                    except asyncio.CancelledError:
                        cancelled += 1
                return cancelled

            running = from_coroutine(stubborn())
            for _ in range(2):
                await turns()
                running.cancel()
            await turns()
            return self.successResultOf(running)

        self.assertEqual(self.run_in_loop(main()), 2)

    def test_cancelled_before_it_began(self) -> None:
        """A coroutine that is cancelled before its first step never begins, without a warning."""

        async def main() -> None:
            began = []

            async def begins() -> None:
                began.append(1)

            running = from_coroutine(begins())
            running.cancel()
            await turns()
            self.failureResultOf(running, CancelledError)
            self.assertEqual(began, [])

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.run_in_loop(main())

    def test_a_canceller_that_gives_a_result(self) -> None:
        """A Deferred that has a result for whoever cancels it, gives that to the coroutine."""
        deferred: Deferred[str] = Deferred(lambda cancelled: cancelled.callback("kept"))
        self.assertEqual(self.cancelled(wait_for(deferred)), "kept")

    def test_a_canceller_that_raises(self) -> None:
        """A canceller that raises, as txpostgres' does, is logged; its Deferred is waited for."""

        async def main() -> object:
            deferred: Deferred[str] = Deferred(_refuse)
            running = from_coroutine(wait_for(deferred))
            await turns()
            running.cancel()
            await turns()
            self.assertNoResult(running)
            deferred.errback(CancelledError())
            await turns()
            return self.failureResultOf(running).type

        self.assertIs(self.run_in_loop(main()), CancelledError)

    def test_a_deferred_that_somebody_else_cancelled(self) -> None:
        """It raises Twisted's error, as an ordinary one: the coroutine itself goes on."""

        async def main() -> str:
            deferred: Deferred[None] = Deferred()

            async def goes_on() -> str:
                try:
                    await deferred
                except CancelledError:
                    await asyncio.sleep(0)
                return "went on"

            running = from_coroutine(goes_on())
            await turns()
            deferred.cancel()
            await turns()
            return self.successResultOf(running)

        self.assertEqual(self.run_in_loop(main()), "went on")

    def test_timeout(self) -> None:
        """``asyncio.timeout()`` ends the wait for a Deferred, and cancels it."""

        async def main() -> bool:
            deferred: Deferred[None] = Deferred()

            async def impatient() -> bool:
                try:
                    async with asyncio.timeout(0):
                        await deferred
                except TimeoutError:
                    return deferred.called
                return False

            return bool(await bridged(impatient()))

        self.assertTrue(self.run_in_loop(main()))

    def test_cancelled_between_firing_and_going_on(self) -> None:
        """A cancellation that comes after the result, and before the coroutine saw it, holds."""

        async def main() -> None:
            deferred: Deferred[None] = Deferred()
            running = from_coroutine(wait_for(deferred))
            await turns()
            deferred.callback(None)
            running.cancel()
            await turns()
            self.failureResultOf(running, CancelledError)

        self.run_in_loop(main())

    def test_a_future(self) -> None:
        """A future has its result, its error, and Twisted's error when it was cancelled."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            futures = [loop.create_future() for _ in range(3)]
            results = [from_future(future) for future in futures]
            futures[0].set_result(1)
            futures[1].set_exception(KeyError(2))
            results[2].cancel()
            await turns()
            self.assertEqual(self.successResultOf(results[0]), 1)
            self.failureResultOf(results[1], KeyError)
            self.failureResultOf(results[2], CancelledError)

        self.run_in_loop(main())


class PortableTests(EventLoopTestCase):
    """A Deferred that plain asyncio tasks can await as well."""

    def test_in_a_task(self) -> None:
        """A task gets its result or its error."""

        async def main() -> None:
            good: PortableDeferred[int] = PortableDeferred()
            bad: PortableDeferred[int] = PortableDeferred()
            tasks = [asyncio.create_task(wait_for(deferred)) for deferred in (good, bad)]
            await turns()
            good.callback(1)
            bad.errback(KeyError(2))
            self.assertEqual(await tasks[0], 1)
            with self.assertRaises(KeyError):
                await tasks[1]

        self.run_in_loop(main())
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_cancelled_task(self) -> None:
        """Cancelling the task cancels the Deferred, and nothing is logged."""

        async def main() -> None:
            deferred: PortableDeferred[int] = PortableDeferred()
            task = asyncio.create_task(wait_for(deferred))
            await turns()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertTrue(deferred.called)

        self.run_in_loop(main())
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_in_a_bridged_coroutine(self) -> None:
        """A bridged coroutine awaits it as any other Deferred."""

        async def main() -> int:
            deferred: PortableDeferred[int] = PortableDeferred()
            running = from_coroutine(wait_for(deferred))
            await turns()
            deferred.callback(3)
            await turns()
            return self.successResultOf(running)

        self.assertEqual(self.run_in_loop(main()), 3)

    def test_twisted_inside_a_task(self) -> None:
        """A coroutine that Twisted runs can await it, though a task makes it go on."""

        async def main() -> list[int]:
            first: PortableDeferred[int] = PortableDeferred()
            second: PortableDeferred[int] = PortableDeferred()

            async def twice() -> list[int]:
                return [await first, await second]

            running = Deferred.fromCoroutine(twice())
            await turns()
            first.callback(4)
            second.callback(5)
            return self.successResultOf(running)

        self.assertEqual(self.run_in_loop(main()), [4, 5])


class WithoutEventLoopTests(SynchronousTestCase):
    """Where no event loop runs, Twisted runs the coroutine."""

    def test_it_begins_at_once(self) -> None:
        """It runs up to the first Deferred that has not fired, in the same call."""
        deferred: Deferred[int] = Deferred()
        running = from_coroutine(wait_for(deferred))
        self.assertNoResult(running)
        deferred.callback(6)
        self.assertEqual(self.successResultOf(running), 6)

    def test_it_is_cancelled(self) -> None:
        """Cancelling it raises Twisted's error in the coroutine."""
        forever: Deferred[None] = Deferred()
        running = from_coroutine(wait_for(forever))
        running.cancel()
        self.failureResultOf(running, CancelledError)

    def test_portable(self) -> None:
        """The Deferred for everybody is an ordinary one here."""
        deferred: PortableDeferred[int] = PortableDeferred()
        running = from_coroutine(wait_for(deferred))
        deferred.callback(7)
        self.assertEqual(self.successResultOf(running), 7)


def _raise() -> None:
    raise KeyError


def _refuse(deferred: Deferred[Any]) -> None:
    raise RuntimeError("it is on its way")
