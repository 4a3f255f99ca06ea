"""Work that is done once: functions submitted to a loop, waiting for their turn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.loops.waiting import was_cancelled
from txdoorbell.processor import name_of


class LoopStopped(Exception):
    """The loop stopped before this could be done."""


class Job:
    """
    One submitted function.

    :ivar done: fires with its result or its error. Cancelled before its turn, it is never called.
    """

    __slots__ = ("cancel_call", "done", "function", "key", "name", "timeout", "withdrawn")

    def __init__(self, key: Callable[..., object], function: Callable[[], object]) -> None:
        self.key = key
        self.function = function
        self.name = name_of(key)
        self.timeout: float | None = None
        self.withdrawn = False
        self.cancel_call: Callable[[], None] | None = None
        self.done: Deferred[Any] = Deferred(self._withdraw)

    def _withdraw(self, _: object) -> None:
        self.withdrawn = True
        if self.cancel_call is not None:
            self.cancel_call()

    def fail(self, error: Exception) -> None:
        """Let :attr:`done` fail, unless it has fired."""
        if not self.done.called:
            self.done.errback(error)

    def finish(self, result: object) -> None:
        """Fire :attr:`done`, unless that has been done."""
        self.cancel_call = None
        if not self.done.called:
            self.done.callback(result)
        elif isinstance(result, Failure) and not was_cancelled(result):
            log.err(result, f"{self.name} failed after it had been cancelled")


class Jobs:
    """
    Those submitted and not begun: the highest priority first, then the oldest.

    :ivar heap: they, and those withdrawn meanwhile: empty when there are none at all.
    """

    def __init__(self) -> None:
        self.heap: list[tuple[int, int, Job]] = []
        self._submitted = 0

    def __len__(self) -> int:
        return sum(not job.withdrawn for _, _, job in self.heap)

    def __bool__(self) -> bool:
        while self.heap and self.heap[0][2].withdrawn:
            heappop(self.heap)
        return bool(self.heap)

    def submit(self, function: Callable[..., object], args: Any, kwargs: Any, priority: int) -> Job:
        """
        Put a function in its place in the queue.

        :raises TypeError: when it can't be called.
        """
        if not callable(function):
            raise TypeError(f"a submitted function must be callable, not {function!r}")
        job = Job(function, partial(function, *args, **kwargs))
        self._submitted += 1
        heappush(self.heap, (-priority, self._submitted, job))
        return job

    def take(self) -> Job:
        """Take out the next one. Ask whether there is one first."""
        return heappop(self.heap)[2]

    def take_all(self) -> list[Job]:
        """Take out all of them, in order."""
        jobs = []
        while self:
            jobs.append(self.take())
        return jobs
