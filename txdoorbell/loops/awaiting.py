"""Which results must be waited for, and how."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.loops.coroutines import ForCoroutine, awaiting
from txdoorbell.loops.stepping import ForIterator
from txdoorbell.loops.waiting import ForDeferred, ForFuture, ForThread, Waiting


def waiting_for(result: object, reactor: IReactorTime) -> Waiting | None:
    """
    Return what waits for a result, or None for one that is there.

    :param result: what a function returned. Deferreds, coroutines, asyncio futures, other
        awaitables and iterators are waited for; a generator's return value is its result.
    """
    if result is None or isinstance(result, (float, int, str, Enum)):
        return None
    if isinstance(result, Deferred):
        return ForDeferred(result)
    if isinstance(result, ForThread):
        return result
    if inspect.iscoroutine(result):
        return ForCoroutine(result)
    if asyncio.isfuture(result):
        return ForFuture(result)
    if isinstance(result, Awaitable):
        return ForCoroutine(awaiting(result))
    if isinstance(result, Iterator):
        return ForIterator(result, reactor)
    return None


def in_thread(reactor: IReactorTime, function: Callable[[], Any]) -> Deferred[None]:
    """
    Run blocking code in the reactor's thread pool; in place on a clock that has none.

    :returns: fires when it has ended. Cancelling it lets nobody wait; the thread goes on.
    """
    ended: Deferred[Any] = Deferred()
    ForThread(reactor, lambda: (function(),)).start(ended.callback)
    return ended.addCallback(lambda _: None)


def logged(text: str) -> Callable[[Failure], None]:
    """Return an errback that sends a failure to ``log.err`` with a text, and ends it there."""
    return lambda failure: log.err(failure, text)
