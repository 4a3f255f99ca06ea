"""A service on a private PostgreSQL: the server is started before it and stopped after it."""

from __future__ import annotations

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred

__all__ = ["Housing"]


class Housing(MultiService):
    """
    What lives on a server, the children, and the server.

    An ordinary ``MultiService`` stops all its children at the same time: a function that is still
    running would lose its database.

    :param server: a service, such as :class:`txdoorbell.embedded.EmbeddedService`. It is no child.
    """

    def __init__(self, server: IService) -> None:
        super().__init__()
        self._server = server

    def startService(self) -> None:
        """
        Start the server, then the children.

        :raises EmbeddedUnavailable: when the server can't be had; no child is started then.
        :raises SystemExit: when Ctrl-C comes meanwhile: no reactor is there yet to take it.
        """
        try:
            self._server.startService()
        except KeyboardInterrupt:
            raise SystemExit("interrupted") from None
        super().startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop the children, and then the server.

        :returns: fires when the server is gone.
        """
        stopped: Deferred[None] = super().stopService()
        return stopped.addCallback(lambda _: self._server.stopService())
