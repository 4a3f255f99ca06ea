"""When a session was asked something, and what of it was answered: proof that both sides live."""

from collections.abc import Callable
from math import inf
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txdoorbell.listening.phases import SessionEnded

__all__ = ["Dialogue"]

T = TypeVar("T")


class Dialogue:
    """
    Takes the time of questions to a server.

    The server begins to count a session's idle time anew at each question; what it sends by itself,
    notifications, doesn't count. So the time of asking is what matters, and only once it is known
    that the question has arrived.

    :param now: a monotonic clock, which the server's time must not outrun: one that goes on while
        the machine is suspended.
    :ivar now: the same.
    :ivar last_asked: when the last question was asked; when the session began, before the first.
    :ivar last_answered: when the last of the questions that were answered had been asked; minus
        infinity before the first answer.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.last_asked = now()
        self.last_answered = -inf

    def follow(self, question: Deferred[T]) -> Deferred[T]:
        """Take the time of a question that is asked now; returns the same Deferred."""
        asked = self.last_asked = self.now()

        def answered(result: T | Failure) -> T | Failure:
            # An error that the server sends is an answer, too.
            if not (isinstance(result, Failure) and result.check(SessionEnded)):
                self.last_answered = max(self.last_answered, asked)
            return result

        return question.addBoth(answered)
