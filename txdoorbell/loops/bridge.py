"""
Coroutines that await Deferreds and asyncio's futures, mixed as they like.

Where an asyncio event loop runs, as under Twisted's asyncio reactor, a coroutine becomes an asyncio
task: futures, other tasks, ``asyncio.timeout()`` and ``asyncio.TaskGroup`` work in it. Elsewhere
Twisted runs it. Deferreds can be awaited either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

_Result = TypeVar("_Result")


def from_coroutine(coroutine: Coroutine[Any, Any, _Result]) -> Deferred[_Result]:
    """
    Run a coroutine.

    :returns: its result. Cancelling it throws ``CancelledError`` into the coroutine: asyncio's in a
        task, Twisted's elsewhere. It fires when the coroutine has ended; with Twisted's
        ``CancelledError`` when that is what ended it, whichever was thrown.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return Deferred.fromCoroutine(coroutine)
    return from_future(loop.create_task(bridged(coroutine)))


def call(function: Callable[[], object]) -> Deferred[Any]:
    """
    Call a function that may be a coroutine function.

    :returns: its result, or its error; that of the Deferred or the coroutine that it returns.
    """

    def called() -> object:
        result = function()
        return from_coroutine(result) if isinstance(result, Coroutine) else result

    return maybeDeferred(called)


def bridged(coroutine: Coroutine[Any, Any, _Result]) -> Coroutine[Any, Any, _Result]:
    """
    Make a coroutine that awaits Deferreds fit for asyncio.

    :func:`from_coroutine` does so by itself, and a loop with its functions. For a task of your own
    it is yours to do: ``group.create_task(bridged(fetch()))``.

    :returns: a coroutine to give to asyncio, or to await, in place of the other.
    """
    return _Bridged(coroutine)


def from_future(future: asyncio.Future[_Result]) -> Deferred[_Result]:
    """
    Make a Deferred of an asyncio future or task.

    :returns: its result. Cancelling it, as often as you like, cancels the future; it fires when the
        future is done, with Twisted's ``CancelledError`` where that was cancelled.
    """
    return _OfFuture(future)


class _OfFuture(Deferred[_Result]):
    """A Deferred that can outlast its cancelling, as the future does that it stands for."""

    def __init__(self, future: asyncio.Future[_Result]) -> None:
        super().__init__()
        self._future = future
        future.add_done_callback(self._done)

    def cancel(self) -> None:
        """Cancel the future; no more than that."""
        self._future.cancel()

    def _done(self, future: asyncio.Future[_Result]) -> None:
        try:
            result: _Result | Failure = future.result()
        except asyncio.CancelledError:
            result = Failure(CancelledError())
        except BaseException:  # noqa: BLE001 - it is passed on
            result = Failure()
        self.callback(result)


class _Bridged(Coroutine[Any, Any, _Result]):
    """Steps a coroutine, and hands out futures in place of the Deferreds that it waits for."""

    def __init__(self, coroutine: Coroutine[Any, Any, _Result]) -> None:
        self._coroutine = coroutine
        self.__name__ = getattr(coroutine, "__name__", type(coroutine).__name__)
        self.__qualname__ = getattr(coroutine, "__qualname__", self.__name__)

    def send(self, value: Any) -> Any:
        return _awaitable_by_asyncio(self._coroutine.send(value))

    def throw(self, *exception: Any) -> Any:
        return _awaitable_by_asyncio(self._coroutine.throw(*exception))

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, _Result]:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self.send(None)


def _awaitable_by_asyncio(awaited: object) -> object:
    if isinstance(awaited, Deferred):
        return _Fired(awaited)
    return awaited


class _Fired(asyncio.Future[None]):
    """
    Is done when a Deferred has fired, or was cancelled.

    The result stays with the Deferred, where the coroutine that awaits it looks for it.
    """

    log = Logger()

    def __init__(self, deferred: Deferred[Any]) -> None:
        super().__init__()
        self._deferred = deferred
        self._is_cancelling = False
        self._asyncio_future_blocking = True
        deferred.addBoth(self._fired)

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the Deferred; how it fires then says whether this was cancelled."""
        if self.done():
            return False
        self._is_cancelling = True
        try:
            self._deferred.cancel()
        except Exception as error:  # noqa: BLE001 - txpostgres raises here, and fires it later
            self.log.warn("{error!r} from the canceller of a Deferred", error=error)
        return True

    def _fired(self, result: object) -> object:
        if self._is_cancelling and isinstance(result, Failure) and result.check(CancelledError):
            super().cancel()
            return None
        self.set_result(None)
        return result


class PortableDeferred(Deferred[_Result]):
    """
    A Deferred that any coroutine can await: one that Twisted runs, and one of a plain asyncio task.

    To a task it looks like a future, but for ``result()``, which is not asked for.
    """

    _asyncio_future_blocking = False

    def __iter__(self) -> Generator[Deferred[_Result], None, _Result]:
        """Wait for the result."""
        while not self.called or self.paused:
            self._asyncio_future_blocking = True
            yield self
        return (yield from super().__iter__())

    __await__ = __iter__

    def cancel(self, msg: Any | None = None) -> None:
        """
        Cancel it.

        :param msg: given by asyncio, and not used.
        :returns: nothing, which tells a task to raise ``CancelledError`` itself.
        """
        super().cancel()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop of the task that waits."""
        return asyncio.get_running_loop()

    def add_done_callback(
        self, function: Callable[[asyncio.Future[Any]], object], *, context: Context | None = None
    ) -> None:
        """Have the task that waits go on when there is a result."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        done = loop.create_future()
        done.set_result(None)

        def fired(result: object) -> object:
            loop.call_soon(function, done, context=context)
            cancelled = task is not None and task.cancelling() and isinstance(result, Failure)
            return None if cancelled else result

        self.addBoth(fired)
