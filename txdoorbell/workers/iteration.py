"""An iterator whose steps take their turns in a loop, and which is read from outside."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.loops.jobs import LoopStopped

Submit = Callable[[Callable[[], object]], Deferred[Any]]


class Iteration:
    """
    Reads an iterator one item ahead, so that whoever reads is told with each if there are more.

    :param submit: has a function called in the loop.
    :ivar has_more: whether there is an item that has not been handed out.
    """

    def __init__(self, submit: Submit, iterator: Iterator[Any]) -> None:
        self._submit = submit
        self._iterator = iterator
        self._item: Any = None
        self._failure: Failure | None = None
        self.has_more = False

    def __repr__(self) -> str:
        return repr(self._iterator)

    async def fetch(self) -> bool:
        """
        Fetch one item ahead, in the loop, and wait for it when it is awaitable.

        :returns: whether there is one.
        """
        self.has_more = False
        try:
            item = next(self._iterator)
        except StopIteration:
            return False
        self._item = await item if inspect.isawaitable(item) else item
        self.has_more = True
        return True

    def next(self) -> Deferred[tuple[Any, bool, bool]]:
        """
        Hand out an item.

        :returns: the item, whether it is one (always), and whether there is a further one. When
            the iterator fails, the items before are handed out first.
        """
        if self._failure is not None:
            return fail(self._failure)
        item = self._item
        fetching = self._submit(self.fetch).addErrback(self._keep)
        return fetching.addCallback(lambda has_more: (item, True, has_more))

    def _keep(self, failure: Failure) -> bool:
        self._failure = failure
        return True

    @property
    def failed(self) -> bool:
        """Whether the next item will be the iterator's error."""
        return self._failure is not None

    def close(self) -> None:
        """Close a generator, in the loop. An error of it goes to ``log.err``."""
        close = getattr(self._iterator, "close", None)
        if close is not None:
            self._submit(close).addErrback(_log_unless_stopped)


def _log_unless_stopped(failure: Failure) -> None:
    if not failure.check(LoopStopped):
        log.err(failure, "an iterator failed while it was closed")
