"""What a session does step by step: one task at a time, whose failure is the session's end."""

from collections.abc import Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.listening.oneline import one_line

__all__ = ["SoleTask"]


class _Endable(Protocol):
    def end(self, reason: str) -> None:
        """End, for a reason."""


class SoleTask:
    """
    At most one task of a session is under way.

    :param session: ended when a task fails, for that reason.
    :param foreseen: errors that only end it; any other goes to ``log.err`` as well.
    :ivar busy: whether a task is under way.
    """

    def __init__(self, session: _Endable, foreseen: tuple[type[BaseException], ...]) -> None:
        self.busy = False
        self._session = session
        self._foreseen = foreseen

    def begin(self, task: Coroutine[Deferred[Any], Any, None]) -> None:
        """Begin a task; there is none."""
        self.busy = True
        Deferred.fromCoroutine(task).addBoth(self._ended)

    def _ended(self, result: Failure | None) -> None:
        self.busy = False
        if isinstance(result, Failure):
            self.failed(result)

    def failed(self, failure: Failure) -> None:
        """End the session over an error."""
        if not failure.check(*self._foreseen):
            log.err(failure)
        self._session.end(one_line(failure.value))
