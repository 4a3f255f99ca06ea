"""A question now and then, so that a session which only seems alive is found out."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from txdoorbell.clocks import EARLY, monotonic_of
from txdoorbell.listening.session import Session

__all__ = ["Heartbeat"]


class Heartbeat:
    """
    Asks a session ``SELECT 1`` whenever nothing was read from it for a while.

    A question that isn't answered in time ends the session. TCP alone never finds a frozen server,
    nor a half-open session on which nothing is sent.

    :param interval: seconds of silence before a question; 0 for none at all.
    :param timeout: seconds until the session is ended for want of the answer.
    :param hold: while it returns true, no question is asked: another is, or the answer could bring
        along what the session can't hear by itself.
    :param ask: asks, and returns a Deferred with the answer; given the seconds in which it must
        come. None for ``SELECT 1``.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        session: Session,
        interval: float,
        timeout: float,
        hold: Callable[[], bool],
        ask: Callable[[float], Deferred[Any]] | None = None,
    ) -> None:
        self._reactor = reactor
        self._now = monotonic_of(reactor)
        self._session = session
        self._interval = interval
        self._timeout = timeout
        self._hold = hold
        self._ask = ask or self._select
        self._last: Callable[[], float] = lambda: session.last_read
        self._next: IDelayedCall | None = None

    def insist(self, interval: float, ask: Callable[[float], Deferred[Any]]) -> None:
        """
        Ask whenever nothing was *asked* for a while, from now on, whatever is read meanwhile.

        The server counts the time from question to question: by that it frees the locks of a
        process that is gone.

        :param interval: seconds; in place of the other.
        :param ask: as above.
        """
        self._interval, self._ask = interval, ask
        self._now = self._session.dialogue.now
        self._last = lambda: self._session.dialogue.last_asked
        self._hold = lambda: False
        self.start()

    def start(self) -> None:
        """Begin, or begin to wait anew, unless the session has ended."""
        self.stop()
        if self._interval and self._session.is_open:
            self._wait(self._interval)

    def stop(self) -> None:
        """Ask no more; an answer that is awaited ends with the session."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _wait(self, seconds: float) -> None:
        self._next = self._reactor.callLater(seconds, self._tick)

    def _tick(self) -> None:
        self._next = None
        silence = self._now() - self._last()
        if self._hold():
            self._wait(self._interval / 10)
        elif silence < self._interval - EARLY:
            self._wait(self._interval - silence)
        else:
            self._ask(self._timeout).addCallbacks(lambda _: self.start(), self._failed)

    def _select(self, within: float) -> Deferred[Any]:
        return self._session.query("select 1", within=within)

    def _failed(self, failure: Failure) -> None:
        self._session.end(f"heartbeat: {failure.value}")
