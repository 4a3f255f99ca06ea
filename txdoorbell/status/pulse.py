"""
When the status is looked at: when it has changed, and each second while somebody watches.

Nobody watches and nothing happens: then no timer is set.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python import log

from txdoorbell.clocks import monotonic_of
from txdoorbell.doorbell import Doorbell
from txdoorbell.notification import State
from txdoorbell.status.history import History
from txdoorbell.status.model import DoorbellStatus

__all__ = ["Pulse"]

PAUSE = 0.4
"""Seconds: the shortest time between two looks."""

TICK = 1.0
"""Seconds between two looks while somebody watches and nothing happens."""

SHARE = 0.05
"""The share of the reactor's time that showing the status may take."""


class Pulse:
    """
    Looks at a doorbell, and shows its status to those who watch.

    :param show: called with each status while somebody watches.
    :ivar history: what was seen.
    """

    def __init__(
        self, reactor: IReactorTime, bell: Doorbell, show: Callable[[DoorbellStatus], object]
    ) -> None:
        self.history = History()
        self._reactor = reactor
        self._bell = bell
        self._show = show
        self._timer: IDelayedCall | None = None
        self._changed = False
        self._watched = False
        self._pause = PAUSE
        self._monotonic = monotonic_of(reactor)
        self._rested = self._due = self._monotonic()

    def start(self) -> None:
        """Begin to take part in what happens."""
        self.look(eventful=False)
        self._bell.watch(self._has_changed)

    def stop(self) -> None:
        """Leave no timer."""
        self._bell.watch(None)
        self._cancel()

    def watch(self, watched: bool) -> None:
        """Look each second from now on, or only when something happens."""
        self._watched = watched
        if watched:
            self._schedule(0.0)
        elif not self._changed:
            self._cancel()

    def look(self, eventful: bool) -> DoorbellStatus:
        """
        Look now, without showing it to anybody.

        :param eventful: whether something has just happened.
        """
        status = self._bell.status()
        self._note_state()
        self.history.look(status, eventful)
        for loop in self._bell.loops:
            if loop.on_change is None:
                loop.on_change = self._has_changed
        return status

    def _note_state(self) -> None:
        self.history.heard(self._reactor.seconds(), State(self._bell.listener.state).value)

    def _has_changed(self) -> None:
        """Take part in a ring, the end of a run or a change of state: quickly, they go first."""
        self._note_state()
        if not self._changed:
            self._changed = True
            self._schedule(min(self._pause, max(0.0, self._rested - self._monotonic())))

    def _beat(self) -> None:
        self._timer = None
        changed, self._changed = self._changed, False
        began = self._monotonic()
        try:
            status = self.look(changed)
            if self._watched:
                self._show(status)
        except Exception:  # noqa: BLE001 - a page that fails to show stops nobody who works
            log.err(None, "showing the status failed")
        cost = (self._monotonic() - began) / SHARE
        self._pause = max(PAUSE, cost)
        self._rested = self._monotonic() + self._pause
        if self._watched:
            self._schedule(max(TICK, cost))

    def _schedule(self, delay: float) -> None:
        due = self._monotonic() + delay
        if self._timer is not None and self._timer.active() and self._due <= due:
            return
        self._cancel()
        self._due = due
        self._timer = self._reactor.callLater(delay, self._beat)

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
