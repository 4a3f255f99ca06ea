"""How a service ends: who waits for that, and who is told when it gives up for good."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from txdoorbell.awaiting import logged
from txdoorbell.bridge import call
from txdoorbell.waiters import Waiters


class Leaving:
    """The end of one service, which may be started again after it."""

    def __init__(self) -> None:
        self._stopped = False
        self._waiters = Waiters(lambda: self._stopped)
        self._resignators: list[Callable[[], object]] = []

    def started(self) -> None:
        """Learn that the service has been started."""
        self._stopped = False

    def stopped(self) -> None:
        """Learn that nothing of the service is active any more."""
        self._stopped = True
        self._waiters.look()

    def when_stopped(self) -> Deferred[None]:
        """Return a fresh Deferred that fires when the service has been started, and has stopped."""
        return self._waiters.when()

    def on_resign(self, function: Callable[[], object]) -> None:
        """Have a function called when the service gives up for good."""
        self._resignators.append(function)

    def resigned(self) -> None:
        """Tell everybody that the service has given up; errors go to ``log.err``."""
        for function in self._resignators:
            call(function).addErrback(logged("a function given to on_resign failed"))
