"""A service that outlives its own stop: its children go last, when it has come to rest itself."""

from __future__ import annotations

from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from txdoorbell.loops.waiters import after
from txdoorbell.ringing.leaving import stop_in_time


class Parent(MultiService):
    """
    A service whose children are stopped not by ``stopService`` but by :meth:`stop_children`.

    They are started, and stopped, once each, also when this is started anew between the two; a
    child that comes or goes between the two is started, or stopped, like any other.
    """

    def __init__(self) -> None:
        super().__init__()
        self._children_started = False
        self._children_stopped: Deferred[Any] = succeed(None)

    def startService(self) -> None:
        """Start, and start the children, unless they have not been stopped."""
        if self._children_started:
            Service.startService(self)
        else:
            self._children_started = True
            super().startService()

    def stop_children(self, clock: IReactorTime, seconds: float) -> Deferred[None]:
        """
        Stop the children, unless this has been started anew.

        :param seconds: how long that may take; see :func:`txdoorbell.ringing.leaving.stop_in_time`.
        :returns: fires when all have stopped or are left behind.
        """
        if self._children_started and not self.running:
            self._children_started = False
            self._children_stopped = stop_in_time(clock, seconds, reversed(list(self)))
        return after(self._children_stopped)

    def addService(self, service: Any) -> None:
        """Add a child service, and start it if the others have been started."""
        super().addService(service)
        if self._children_started and not self.running:
            service.privilegedStartService()
            service.startService()

    def removeService(self, service: Any) -> Deferred[Any] | None:
        """
        Remove a child service, and stop it if the others have not been stopped.

        :returns: what its ``stopService`` returns.
        """
        stopping: Deferred[Any] | None = super().removeService(service)
        if self._children_started and not self.running:
            stopping = service.stopService()
        return stopping
