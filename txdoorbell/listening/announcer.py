"""Calls that are made in a later turn of the reactor, in order."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python import log

__all__ = ["Announcer"]


class Announcer:
    """
    Calls others from the reactor, never from inside a call of theirs.

    All calls of one turn are made in the next, in the order in which they were asked for. An error
    in one goes to ``log.err`` and stops no other.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._calls: list[Callable[[], object]] = []

    def later(self, call: Callable[[], object]) -> None:
        """Make a call in the next turn of the reactor, after those asked for before."""
        if not self._calls:
            self._reactor.callLater(0, self._announce)
        self._calls.append(call)

    def when_quiet(self) -> Deferred[None]:
        """Return a fresh Deferred that fires once every call asked for so far has been made."""
        if not self._calls:
            return succeed(None)
        quiet: Deferred[None] = Deferred()
        self.later(lambda: quiet.callback(None))
        return quiet

    def _announce(self) -> None:
        calls, self._calls = self._calls, []
        for call in calls:
            try:
                call()
            except Exception:  # noqa: BLE001 - it is anybody's
                log.err(None, f"{call!r} failed")
