"""What is awaited of a session: each by a deadline, and none longer than the session lives."""

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txdoorbell.listening.deadline import Deadline

__all__ = ["Expectations"]

T = TypeVar("T")


class Expectations:
    """
    Those who wait for an answer of one session.

    :param last_read: returns when something was last read from it, on the reactor's monotonic
        clock; see :class:`~txdoorbell.listening.deadline.Deadline`.
    """

    def __init__(self, reactor: IReactorTime, last_read: Callable[[], float]) -> None:
        self._reactor = reactor
        self._last_read = last_read
        self._waiting: dict[Deferred[Any], Deadline] = {}

    def wait(
        self, awaited: Deferred[T], within: float, overdue: Callable[[], object]
    ) -> Deferred[T]:
        """
        Wait for something.

        :param within: seconds.
        :param overdue: called when it has not come by then.
        :returns: a fresh Deferred that fires as the other one does, unless :meth:`end` comes first.
        """
        answer: Deferred[T] = Deferred()
        self._waiting[answer] = Deadline(self._reactor, within, overdue, self._last_read)
        awaited.addBoth(self._met, answer)
        return answer

    def _met(self, result: Any, answer: Deferred[Any]) -> None:
        if answer in self._waiting:
            self._waiting.pop(answer).cancel()
            answer.callback(result)

    def end(self) -> Callable[[Exception], None]:
        """
        End all waiting: what comes from now on is dropped.

        :returns: to be called with the error with which those who waited fail.
        """
        waiting, self._waiting = self._waiting, {}

        def fail(error: Exception) -> None:
            for answer, deadline in waiting.items():
                deadline.cancel()
                answer.errback(error)

        return fail
