"""A doorbell's supervisor is told how it is: ready, stopping, alive, and its state in words."""

from __future__ import annotations

import time

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall

from txdoorbell.notification import State
from txdoorbell.process.supervisor import Supervisor
from txdoorbell.ringing.watched import WatchedDoorbell

__all__ = ["Attendant"]

_SHOWN = 5
"""How many channels are named in the state's words."""


class Attendant(Service):
    """
    Tells a supervisor about a doorbell.

    It is ready from the first committed LISTEN on; a loss after that changes its words only. While
    a function is stuck there is no sign of life, and neither is there while the reactor is blocked.
    """

    def __init__(self, bell: WatchedDoorbell, supervisor: Supervisor) -> None:
        self._bell = bell
        self._supervisor = supervisor
        self._ready = False
        self._words = ""
        self._pending: IDelayedCall | None = None
        bell.follow(self._state_changed)

    def startService(self) -> None:
        """Begin to tell."""
        super().startService()
        self._live()

    def stopService(self) -> None:
        """Tell that it stops, and nothing after that."""
        super().stopService()
        self._ready = False
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        self._supervisor.tell(STOPPING=1, STATUS="Stopping")

    def reloading(self) -> None:
        """Tell that the configuration is being read again; not before it is ready."""
        if self._ready:
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._supervisor.tell(RELOADING=1, MONOTONIC_USEC=now)

    def reloaded(self) -> None:
        """Tell that this is over."""
        if self._ready:
            self._words = self._in_words(self._bell.listener.state, "")
            self._supervisor.tell(READY=1, STATUS=self._words)

    def _state_changed(self, state: State, reason: str) -> None:
        if not self.running:
            return
        self._words = self._in_words(state, reason)
        if state is State.LISTENING and not self._ready:
            self._ready = True
            self._supervisor.tell(READY=1, STATUS=self._words)
        else:
            self._supervisor.tell(STATUS=self._words)

    def _in_words(self, state: State, reason: str) -> str:
        if state is State.LISTENING:
            channels = sorted(self._bell.switchboard.active_channels)
            more = f" and {len(channels) - _SHOWN} more" if len(channels) > _SHOWN else ""
            return f"Listening on {', '.join(channels[:_SHOWN]) or 'no channel'}{more}"
        return f"{state.capitalize()}{': ' * bool(reason)}{reason}"

    def _live(self) -> None:
        """Give a sign of life, and have the next one given in half of the time there is."""
        if self._supervisor.watchdog is None:
            return
        self._pending = self._bell.clock.callLater(self._supervisor.watchdog / 2, self._live)
        stuck = [loop.stuck for loop in self._bell.loops if loop.stuck is not None]
        if stuck:
            self._supervisor.tell(STATUS=f"Stuck: {', '.join(stuck)}")
        else:
            self._supervisor.tell(WATCHDOG=1)
