"""Waits with a deadline, that say what they waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

T = TypeVar("T")


class WaitedInVain(AssertionError):
    """Something did not happen in time; the text says what."""


async def wait_for(what: str, predicate: Callable[[], T], deadline: float = 10.0) -> T:
    """
    Let the reactor run until something holds.

    :param predicate: asked every few milliseconds.
    :param deadline: seconds that this may take.
    :returns: what the predicate said at last.
    :raises WaitedInVain: when it doesn't hold by then.
    """
    from twisted.internet import reactor

    clock: Any = reactor
    end = clock.seconds() + deadline
    while not (holds := predicate()):
        if clock.seconds() > end:
            raise WaitedInVain(f"waited {deadline:g} s in vain for {what}")
        await deferLater(clock, 0.003)
    return holds


async def in_time(what: str, answer: Deferred[T], deadline: float = 10.0) -> T:
    """
    Wait for a Deferred, without cancelling it when the time is up.

    :returns: its result; raises the error that it fails with.
    :raises WaitedInVain: when it doesn't fire by then.
    """
    results: list[Any] = []
    answer.addBoth(results.append)
    await wait_for(what, lambda: results, deadline)
    if isinstance(results[0], Failure):
        results[0].raiseException()
    result: T = results[0]
    return result
