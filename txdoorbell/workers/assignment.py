"""A task of asynqueue that a worker has taken, until its result has been given back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txdoorbell.processor import name_of

HIGHEST_PRIORITY = -20
"""Tasks of this priority, or a lower number, are run next, as asynqueue's own workers have it."""


class Assignment:
    """
    What a worker keeps of a task.

    :param number: counts the tasks of the worker.
    :param raw: what a task means that does not say ``raw`` itself.
    :param begin: called with this, when the loop calls it.
    :ivar func: the task's function, which the loop knows this by.
    :ivar rank: sorts the most urgent first.
    :ivar ready: fires when the worker may be given another.
    """

    def __init__(
        self, task: Any, number: int, raw: bool, begin: Callable[[Assignment], object]
    ) -> None:
        self.task = task
        self.func, self._arguments, keywords = task.callTuple
        # A copy: whoever takes over a task that is left undone needs its keywords too.
        self._keywords = dict(keywords)
        self.consumer = self._keywords.pop("consumer", None)
        own_raw = self._keywords.pop("raw", None)
        self.raw = raw if own_raw is None else own_raw
        urgent = self._keywords.pop("doNext", False) or task.priority <= HIGHEST_PRIORITY
        self.rank: tuple[bool, float, int] = (not urgent, task.priority, number)
        self.ready: Deferred[None] = Deferred()
        self._result: Deferred[Any] = task.d
        self._begin = begin

    def __lt__(self, other: Assignment) -> bool:
        return self.rank < other.rank

    def __call__(self) -> object:
        """Begin: its turn in the loop has come."""
        return self._begin(self)

    def call(self) -> Any:
        """Call the task's function, unless the task has timed out or was cancelled meanwhile."""
        if self._result.called:
            return None
        return self.func(*self._arguments, **self._keywords)

    def finish(self, outcome: object) -> None:
        """
        Give the task its result.

        :param outcome: the status and result that ``TaskQueue.taskDone`` reads, or a Failure.
        """
        if isinstance(outcome, Failure):
            text = f"{name_of(self.func)}: {outcome.getErrorMessage()}\n{outcome.getTraceback()}"
            outcome = (b"e", text)
        self.task.callback(outcome)
