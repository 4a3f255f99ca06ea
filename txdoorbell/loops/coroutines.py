"""
Coroutines and other awaitables, waited for until they have really ended.

``Deferred.fromCoroutine`` loses sight of a coroutine that is cancelled by its own code, or whose
awaited Deferred has a canceller that raises (txpostgres' have): its Deferred fires, and the
coroutine goes on. So Twisted's part in this is to hand over Deferreds; they are awaited here.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Coroutine
from contextvars import copy_context
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txdoorbell.loops.bridge import bridged
from txdoorbell.loops.waiting import Finished, ForDeferred, ForFuture, Waiting


class ForCoroutine:
    """
    Run a coroutine, and wait for it.

    Where an asyncio event loop runs it becomes a task of that; elsewhere it awaits Deferreds only.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._run: Waiting | None = None
        self._cancelled = False

    def start(self, finished: Finished) -> None:
        """Begin to run it."""
        if self._cancelled:
            self._coroutine.close()
            finished(Failure(CancelledError()))
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._run = _AwaitingDeferreds(self._coroutine)
        else:
            self._run = ForFuture(loop.create_task(bridged(self._coroutine)))
        self._run.start(finished)

    def cancel(self) -> None:
        """Throw ``CancelledError`` into it: asyncio's in a task, Twisted's elsewhere."""
        self._cancelled = True
        if self._run is not None:
            self._run.cancel()

    def where(self) -> str:
        """Show the stack of the coroutine and of those that it awaits."""
        lines = []
        awaited: Any = self._coroutine
        while (frame := getattr(awaited, "cr_frame", None)) is not None:
            lines += traceback.format_stack(frame, 1)
            awaited = awaited.cr_await
        return "".join(lines)


class _AwaitingDeferreds:
    """
    Run a coroutine that awaits Deferreds.

    Cancelling it cancels the Deferred that it awaits; while it runs: the one that it awaits next.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._context = copy_context()
        self._awaited: ForDeferred | None = None
        self._cancelled = False
        self._running = False
        self._arrived: list[object] = []

    def start(self, finished: Finished) -> None:
        """Run it until it awaits what is not there yet."""
        self._finished = finished
        self._go_on(None)

    def cancel(self) -> None:
        """Cancel what it awaits, or will await."""
        if self._awaited is None:
            self._cancelled = True
        else:
            self._awaited.cancel()

    def where(self) -> str:
        """Name what it awaits."""
        return "  running" if self._awaited is None else self._awaited.where()

    def _go_on(self, result: object) -> None:
        """Hand it what it awaited, and so on until that is not there yet, or it has ended."""
        self._running = True
        self._arrived = [result]
        while self._arrived:
            try:
                awaited = self._context.run(self._resume, self._arrived.pop())
            except StopIteration as stop:
                self._finished(stop.value)
                return
            except BaseException:  # noqa: BLE001 - whatever it raises is its result
                self._finished(Failure())
                return
            self._wait_for(awaited)
        self._running = False

    def _resume(self, result: object) -> object:
        if isinstance(result, Failure):
            return result.throwExceptionIntoGenerator(self._coroutine)
        return self._coroutine.send(result)

    def _wait_for(self, awaited: object) -> None:
        if not isinstance(awaited, Deferred):
            self._arrived.append(awaited)  # handed back, as Twisted does
            return
        self._awaited = ForDeferred(awaited)
        if self._cancelled:
            self._cancelled = False
            self._awaited.cancel()
        self._awaited.start(self._came)

    def _came(self, result: object) -> None:
        self._awaited = None
        if self._running:
            self._arrived.append(result)
        else:
            self._go_on(result)


async def awaiting(awaitable: Awaitable[Any]) -> Any:
    """Wait for something that can be awaited, and return its result."""
    return await awaitable
