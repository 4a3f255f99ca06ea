"""A doorbell whose states others can follow, and whose clock they can use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from txdoorbell.clocks import SteadyClock
from txdoorbell.doorbell import Doorbell
from txdoorbell.notification import GroupAudience, State

__all__ = ["WatchedDoorbell"]

_Follower = Callable[[State, str], None]


class WatchedDoorbell(Doorbell):
    """
    A doorbell that tells each change of its listener's state to those who ask for it.

    See :class:`txdoorbell.doorbell.Doorbell` for what it takes.
    """

    def __init__(self, reactor: IReactorTime, dsn: str = "", **options: Any) -> None:
        super().__init__(reactor, dsn, **options)
        self._followers: list[_Follower] = []
        self.listener.report_to(_Relay(self._ear, self._tell))

    @property
    def clock(self) -> SteadyClock:
        """Keeps the length of delays when the wall clock is stepped, while this service runs."""
        return self._clock

    def follow(self, function: _Follower) -> None:
        """Have a function called with each new state of the listener, and the reason for it."""
        self._followers.append(function)

    def _tell(self, state: State, reason: str) -> None:
        for function in self._followers:
            function(state, reason)


class _Relay:
    """An audience that passes everything on, and tells changes of state to one more."""

    def __init__(self, audience: GroupAudience, tell: _Follower) -> None:
        self.notified = audience.notified
        self.notified_all = audience.notified_all
        self.heard_all = audience.heard_all
        self.listening = audience.listening
        self._audience = audience
        self._tell = tell

    def state_changed(self, state: State, reason: str) -> None:
        """Tell both."""
        self._audience.state_changed(state, reason)
        self._tell(state, reason)
