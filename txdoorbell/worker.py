"""
A loop as a worker of asynqueue: the tasks of a ``TaskQueue`` run under the loop's rule.

That is: never two at once, nor one beside any other function of the loop. asynqueue, which comes
with the extra of that name, is imported when the first worker is made: it installs the reactor.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Hashable, Iterable
from heapq import heappop, heappush
from importlib import import_module
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import alsoProvides

from txdoorbell.loops.awaiting import logged
from txdoorbell.loops.bridge import call
from txdoorbell.loops.loopbase import LoopBase
from txdoorbell.workers.assignment import Assignment
from txdoorbell.workers.iteration import Iteration

__all__ = ["LoopWorker"]


class LoopWorker:
    """
    Runs tasks in a loop; provides ``asynqueue.interfaces.IWorker``.

    Of the tasks at hand the one with ``doNext`` is next, or the one of the highest priority (the
    lowest number); among equals the oldest. They take turns with the loop's own functions. A task
    may return whatever a submitted function may; an iterator is stepped in the loop too, one item
    for each turn.

    :param loop: where the tasks run.
    :param series: the series this worker is qualified for, beside those of :attr:`cQualified`.
    :param raw: give back iterators as they are; a task's own ``raw`` comes first.
    :param priority: that of the tasks among all that is submitted to the loop.
    :raises ImportError: when asynqueue isn't installed.
    """

    log = Logger()

    cQualified: list[Hashable] = ["doorbell", "local"]
    """The series that every worker of this class is qualified for."""

    hired = True
    """Whether it is to ask for more: a ``TaskQueue`` sets it."""

    def __init__(
        self,
        loop: LoopBase,
        *,
        series: Iterable[Hashable] = (),
        raw: bool = False,
        priority: int = 0,
    ) -> None:
        alsoProvides(self, _asynqueue("interfaces").IWorker)
        self.iQualified = list(series)
        self.raw = raw
        self._loop = loop
        self._priority = priority
        self._numbered = 0
        self._waiting: list[Assignment] = []
        self._offered: Assignment | None = None
        self._active: Assignment | None = None
        self._job: Deferred[Any] | None = None
        self._iterations: set[Iteration] = set()
        self._resignators: list[Callable[[], object]] = []
        self._watches_service = False
        self._stop_waiters: list[Deferred[list[Any]]] = []

    # -- the interface

    def setResignator(self, callableObject: Callable[[], object]) -> None:  # noqa: N803 - theirs
        """
        Have a function called when this worker resigns: it will run nothing more.

        It does so when the :class:`~txdoorbell.doorbell.Doorbell` of its loop resigns, and when it
        is given a task that a stopped loop does not take.
        """
        self._resignators.append(callableObject)
        on_resign = getattr(self._loop.parent, "on_resign", None)
        if on_resign is not None and not self._watches_service:
            self._watches_service = True
            on_resign(self.resign)

    def run(self, task: Any) -> Deferred[None]:
        """
        Run a task in the loop, when its turn has come.

        :returns: fires when its result has been given to the task, so that the next can be
            assigned. It does not when the worker has been dismissed or has crashed.
        """
        self._numbered += 1
        assignment = Assignment(task, self._numbered, self.raw, self._begin)
        heappush(self._waiting, assignment)
        self._offer()
        return assignment.ready

    def stop(self) -> Deferred[list[Any]]:
        """
        Wait until every task has its result, and every iterator has come to its end.

        :returns: fires after all results, with an empty list; with the tasks that were left over
            when :meth:`crash` was called meanwhile.
        """
        stopped: Deferred[list[Any]] = Deferred()
        self._stop_waiters.append(stopped)
        self._settle()
        return stopped

    def crash(self) -> list[Any]:
        """
        Drop everything: cancel the active task, forget the others. The loop goes on.

        :returns: the tasks that have no result, in the order in which they would have run.
        """
        left = [assignment.task for assignment in sorted(self._waiting)]
        if self._active is not None:
            left.insert(0, self._active.task)
        job, self._job = self._job, None
        self._active = self._offered = None
        self._waiting.clear()
        self._iterations.clear()
        if job is not None:
            job.cancel()
        self._fire_stop_waiters(left)
        return left

    def resign(self) -> None:
        """Tell those who set a resignator, once. An error of theirs goes to ``log.err``."""
        resignators, self._resignators = self._resignators, []
        if resignators:
            self.log.info("the worker of {loop} resigns", loop=self._loop.name)
        for resignator in resignators:
            call(resignator).addErrback(logged("a resignator failed"))

    def _check_qualifications(self, ob: Any) -> None:
        """Do nothing: asynqueue's interface has its own check as a method, so this must be here."""

    # -- one task at a time

    def _offer(self) -> None:
        """Have the loop call the most urgent task next, in place of one that has not begun."""
        if self._active is not None or not self._waiting:
            return
        urgent = self._waiting[0]
        if urgent is self._offered:
            return
        withdrawn, self._offered = self._job, urgent
        if withdrawn is not None:
            withdrawn.cancel()
        self._job = job = self._loop.submit(urgent, priority=self._priority)
        job.addBoth(self._ended, urgent)

    def _begin(self, assignment: Assignment) -> Coroutine[Any, Any, tuple[bytes, object]]:
        heappop(self._waiting)
        self._offered, self._active = None, assignment
        return self._perform(assignment)

    async def _perform(self, assignment: Assignment) -> tuple[bytes, object]:
        result = assignment.call()
        if inspect.isawaitable(result):
            result = await result
        return await self._answer(assignment, result)

    async def _answer(self, assignment: Assignment, result: Any) -> tuple[bytes, object]:
        if assignment.raw or not _is_iterator(result):
            return b"r", result
        iteration = Iteration(self._submit, result)
        await iteration.fetch()
        if assignment.consumer is None and not iteration.has_more:
            return b"i", []
        deferator = _deferator(iteration)
        answer = deferator
        if assignment.consumer is not None:
            answer = _producer(deferator, assignment.consumer, iteration)
        self._iterations.add(iteration)
        deferator.d.addCallback(self._iterated, iteration)
        return b"i", answer

    def _submit(self, function: Callable[[], object]) -> Deferred[Any]:
        return self._loop.submit(function, priority=self._priority)

    def _ended(self, outcome: Any, assignment: Assignment) -> None:
        if assignment is self._offered:
            self._offered = self._job = None
            self.resign()
        elif assignment is self._active:
            self._active = self._job = None
            assignment.finish(outcome)
            if self.hired:
                assignment.ready.callback(None)
            self._offer()
            self._settle()

    def _iterated(self, completed: bool, iteration: Iteration) -> bool:
        if not completed:
            iteration.close()
        self._iterations.discard(iteration)
        self._settle()
        return completed

    def _settle(self) -> None:
        if not (self._active or self._waiting or self._iterations):
            self._fire_stop_waiters([])

    def _fire_stop_waiters(self, left: list[Any]) -> None:
        waiters, self._stop_waiters = self._stop_waiters, []
        for waiter in waiters:
            waiter.callback(left)


def _is_iterator(result: object) -> bool:
    is_iterator = _asynqueue("iteration").Deferator.isIterator(result)
    return is_iterator and hasattr(result, "__next__")


def _deferator(iteration: Iteration) -> Any:
    """Make what asynqueue reads iterations by; it says so itself when it has been read."""
    new = _asynqueue("iteration").Deferator
    if not iteration.has_more:
        return new([])

    def read() -> Deferred[Any]:
        if iteration.failed:
            deferator.stop()
        return iteration.next()

    deferator = new(repr(iteration), read)
    return deferator


def _producer(deferator: Any, consumer: Any, iteration: Iteration) -> Any:
    """Make what writes iterations to a consumer."""
    producer = _asynqueue("iteration").IterationProducer(deferator, consumer)

    def over(completed: bool) -> bool:
        # Its system event trigger would stay, and keep it, for as long as the reactor runs.
        producer.delay.shutdown()
        if iteration.failed:
            consumer.unregisterProducer()
        return completed

    deferator.d.addCallback(over)
    return producer


def _asynqueue(module: str) -> Any:
    try:
        return import_module(f"asynqueue.{module}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"LoopWorker needs asynqueue ({error}): pip install 'txdoorbell[asynqueue]'"
        ) from error
