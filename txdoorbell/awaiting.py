"""Everything a function may return to be waited for, made a Deferred."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred, execute
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.task import Cooperator, TaskStopped
from twisted.internet.threads import deferToThreadPool
from twisted.python import log
from twisted.python.failure import Failure


def as_deferred(result: object, cooperator: Cooperator) -> Deferred[Any] | None:
    """
    Return a Deferred for a result that must be waited for, or None for one that is there.

    :param result: what a function returned. Deferreds, coroutines, asyncio futures, other
        awaitables and iterators are waited for; a generator's return value is its result.
    :param cooperator: steps iterators.
    """
    if result is None or isinstance(result, (float, int, str)):
        return None
    if isinstance(result, Deferred):
        return result
    if inspect.iscoroutine(result):
        return Deferred.fromCoroutine(result)
    if asyncio.isfuture(result):
        return Deferred.fromFuture(result)
    if isinstance(result, Awaitable):
        return Deferred.fromCoroutine(_awaited(result))
    if isinstance(result, Iterator):
        return step(result, cooperator)
    return None


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def step(iterator: Iterator[Any], cooperator: Cooperator) -> Deferred[Any]:
    """
    Step an iterator to its end, giving the reactor its turns; a Deferred it yields is waited for.

    :returns: a Deferred with the generator's return value (None for another iterator). Cancelling
        it cancels the Deferred waited for and closes the generator.
    """
    return _Stepping(iterator, cooperator).done


class _Stepping:
    def __init__(self, iterator: Iterator[Any], cooperator: Cooperator) -> None:
        self._iterator = iterator
        self._yielded: object = None
        self._returned: object = None
        self.done: Deferred[Any] = Deferred(self._cancel)
        self._task = cooperator.cooperate(self._steps())
        self._task.whenDone().addCallbacks(self._succeed, self._fail)

    def _steps(self) -> Iterator[Any]:
        while True:
            try:
                self._yielded = next(self._iterator)
            except StopIteration as stop:
                self._returned = stop.value
                return
            yield self._yielded

    def _succeed(self, _: object) -> None:
        self.done.callback(self._returned)

    def _fail(self, failure: Failure) -> None:
        if not failure.check(TaskStopped):
            self.done.errback(failure)

    def _cancel(self, _: object) -> None:
        self._task.stop()
        if isinstance(self._yielded, Deferred):
            self._yielded.addErrback(lambda failure: failure.trap(CancelledError) and None)
            self._yielded.cancel()
        close = getattr(self._iterator, "close", None)
        if close is not None and not getattr(self._iterator, "gi_running", False):
            execute(close).addErrback(logged("a generator failed while it was closed"))


def in_thread(reactor: object, function: Callable[[], Any]) -> Deferred[Any]:
    """
    Run blocking code in the reactor's thread pool.

    A clock that has no thread pool, as a test's, runs it in place: nothing else could wait there.

    :returns: a Deferred with its result. It must not be cancelled: the thread would go on.
    """
    get_pool = getattr(reactor, "getThreadPool", None)
    if get_pool is None:
        return execute(function)
    boxed: Deferred[list[Any]] = deferToThreadPool(
        cast(IReactorThreads, reactor), get_pool(), lambda: [function()]
    )
    return boxed.addCallback(lambda box: box[0])


def logged(text: str) -> Callable[[Failure], None]:
    """Return an errback that sends a failure to ``log.err`` with a text, and ends it there."""
    return lambda failure: log.err(failure, text)
