"""
What can be waited for, each kind in the same two steps: start it, and cancel it.

Twisted's own Deferreds say when somebody may go on; these say when something has ended. The two
differ where a canceller raises, or a coroutine goes on after its cancellation.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

Finished = Callable[[object], None]
"""Called once, with a value or a Failure."""


class Waiting(Protocol):
    """Something that takes its time. It is active from ``start`` until it calls ``finished``."""

    def start(self, finished: Finished) -> None:
        """Begin; ``finished`` may be called at once."""

    def cancel(self) -> None:
        """Ask it to end soon; before the start: not to begin. It may finish under this."""

    def where(self) -> str:
        """Say in lines what it is doing: a stack, as far as there is one."""


class ForDeferred:
    """Wait for a Deferred; whatever it fires with is taken out of it."""

    log = Logger()

    def __init__(self, deferred: Deferred[Any]) -> None:
        self._deferred = deferred

    def start(self, finished: Finished) -> None:
        """Begin to wait."""
        self._deferred.addBoth(finished)

    def cancel(self) -> None:
        """Cancel the Deferred. One whose canceller raises is waited for all the same."""
        try:
            self._deferred.cancel()
        except Exception as error:  # noqa: BLE001 - txpostgres raises here, and means it well
            self.log.info("{error!r} was raised by a canceller", error=error)

    def where(self) -> str:
        """Name the Deferred; one that waits for another says so."""
        return f"  waiting for {self._deferred!r}"


class ForFuture:
    """Wait for an asyncio future or task; a cancelled one is waited for until it has ended."""

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def start(self, finished: Finished) -> None:
        """Begin to wait."""
        if self._future.done():
            finished(_outcome(self._future))
        else:
            self._future.add_done_callback(lambda future: finished(_outcome(future)))

    def cancel(self) -> None:
        """Cancel the future."""
        self._future.cancel()

    def where(self) -> str:
        """Show the stack of a task; name any other future."""
        if not isinstance(self._future, asyncio.Task):
            return f"  waiting for {self._future!r}"
        return "".join(
            line for frame in self._future.get_stack() for line in traceback.format_stack(frame, 1)
        )


def _outcome(future: asyncio.Future[Any]) -> object:
    try:
        return future.result()
    except BaseException:  # noqa: BLE001 - asyncio's own CancelledError is one
        return Failure()


class ForThread:
    """
    Run blocking code in the thread pool of a reactor, and wait for it.

    A clock that has no thread pool, as a test's, runs it in place: nothing else could wait there.
    """

    def __init__(self, reactor: Any, function: Callable[[], object]) -> None:
        self._reactor = reactor
        self._function = function
        self._cancelled = False
        self._thread: int | None = None

    def start(self, finished: Finished) -> None:
        """Begin to wait."""
        if self._cancelled:
            finished(Failure(CancelledError()))
        elif not hasattr(self._reactor, "getThreadPool"):
            finished(self._in_place())
        else:
            self._reactor.getThreadPool().callInThreadWithCallback(
                lambda _, result: self._reactor.callFromThread(finished, result), self._call
            )

    def cancel(self) -> None:
        """Do not begin. A thread that has begun goes on to its end."""
        self._cancelled = True

    def where(self) -> str:
        """Show the stack of the thread."""
        frame = sys._current_frames().get(self._thread or 0)  # noqa: SLF001 - documented
        return "  waiting for a thread" if frame is None else "".join(traceback.format_stack(frame))

    def _call(self) -> object:
        self._thread = threading.get_ident()
        return self._function()

    def _in_place(self) -> object:
        try:
            return self._function()
        except BaseException:  # noqa: BLE001 - as a thread pool has it
            return Failure()


def was_cancelled(result: object) -> bool:
    """Say whether a result is the failure that follows from a cancellation."""
    return isinstance(result, Failure) and bool(
        result.check(CancelledError, asyncio.CancelledError)
    )
