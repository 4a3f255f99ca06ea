"""A notification that stops a service."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txdoorbell.notification import Hearable


class StopChannel:
    """
    An observer for the channel on which a service is told to stop.

    :param stop: called in a later turn of the reactor: not under the source that tells of it.
    """

    log = Logger()

    def __init__(self, reactor: IReactorTime, stop: Callable[[], object]) -> None:
        self._reactor = reactor
        self._stop = stop

    def notified(self, notification: Hearable) -> None:
        """Stop, and say who has said so."""
        self.log.info(
            "told to stop by a notification on {channel} from pid {pid}",
            channel=notification.channel,
            pid=notification.pid,
        )
        self._reactor.callLater(0, self._stop)
