"""How a service ends: who waits for that, and who is told when it gives up for good."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txdoorbell.loops.awaiting import logged
from txdoorbell.loops.bridge import call
from txdoorbell.loops.waiters import Waiters, after

log = Logger()


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
        """
        Have a function called when the service gives up for good.

        It does when it has not been listening for ``give_up_after``, and when a function of a loop
        with ``stuck="resign"`` ignores its cancellation: also one that was cancelled because the
        lock of its loop was lost. A lost lock by itself is no end: the loop stands by for it.
        """
        self._resignators.append(function)

    def resigned(self) -> None:
        """Tell everybody that the service has given up; errors go to ``log.err``."""
        for function in self._resignators:
            call(function).addErrback(logged("a function given to on_resign failed"))


def stop_in_time(clock: IReactorTime, seconds: float, services: Iterable[Any]) -> Deferred[None]:
    """
    Stop services that may be anybody's, at the same time.

    :param seconds: how long that may take; then those that have not stopped are left behind.
    :returns: fires when each has stopped, or failed to, or is left behind; the last two are logged.
    """
    return after(gatherResults([_stop(clock, seconds, service) for service in services]))


def _stop(clock: IReactorTime, seconds: float, service: Any) -> Deferred[None]:
    failed = logged(f"{service!r} did not stop")
    stopped = after(maybeDeferred(service.stopService).addErrback(failed))
    if stopped.called:
        return stopped
    ended: Deferred[None] = Deferred()

    def leave_behind() -> None:
        log.error(
            "{service} has not stopped in {seconds:g} s: it is left behind",
            service=service,
            seconds=seconds,
        )
        ended.callback(None)

    timer = clock.callLater(seconds, leave_behind)

    def end(_: None) -> None:
        if timer.active():
            timer.cancel()
            ended.callback(None)

    stopped.addCallback(end)
    return ended
