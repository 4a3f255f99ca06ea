"""Those who wait for something to become true: a fresh Deferred for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed


class Waiters:
    """
    Deferreds that fire when a condition holds.

    :param holds: the condition. It is asked for each waiter: what an earlier one does may end it.
    """

    def __init__(self, holds: Callable[[], bool]) -> None:
        self._holds = holds
        self._waiting: dict[Deferred[None], None] = {}

    def when(self) -> Deferred[None]:
        """Return a fresh Deferred, fired already when the condition holds; it may be cancelled."""
        if self._holds():
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._forget)
        self._waiting[waiter] = None
        return waiter

    def _forget(self, waiter: Deferred[None]) -> None:
        self._waiting.pop(waiter, None)

    def look(self) -> None:
        """Fire, in order, while the condition holds."""
        while self._waiting and self._holds():
            self._fire(next(iter(self._waiting)))

    def release(self) -> None:
        """Fire for all who wait now, whether it holds or not."""
        for waiter in list(self._waiting):
            if waiter in self._waiting:
                self._fire(waiter)

    def _fire(self, waiter: Deferred[None]) -> None:
        del self._waiting[waiter]
        waiter.callback(None)


def after(deferred: Deferred[Any]) -> Deferred[None]:
    """Return a Deferred of its own that fires when another one has, whatever it fires with."""
    fired: Deferred[None] = Deferred()

    def pass_on(result: Any) -> Any:
        fired.callback(None)
        return result

    deferred.addBoth(pass_on)
    return fired
