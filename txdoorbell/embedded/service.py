"""The private PostgreSQL as a part of an application, and from another process."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool

from txdoorbell.embedded.binaries import EmbeddedUnavailable
from txdoorbell.embedded.pidfile import PidFile
from txdoorbell.embedded.server import PostgresServer


def running_dsn(data: Path) -> str:
    """Tell how to connect to the server that runs in a folder, whoever started it.

    :param data: the folder, as given to :class:`PostgresServer`.
    :raises EmbeddedUnavailable: none runs there, or the folder is not ours to
        read.
    """
    folder = Path(data).absolute()
    try:
        server = PidFile.of(folder)
    except OSError as error:
        raise EmbeddedUnavailable(f"{folder}: {error.strerror}") from None
    if server is None or not server.is_alive(folder):
        raise EmbeddedUnavailable(f"no PostgreSQL runs in {folder}")
    if not server.ready:
        raise EmbeddedUnavailable(f"the PostgreSQL in {folder} takes no connections at present")
    return server.dsn(folder)


class EmbeddedService(Service):
    """Runs a :class:`PostgresServer` while an application runs.

    ``startService`` blocks until the server takes connections, under a second
    as a rule, so that whatever is started next can connect; an application
    starts its services before its reactor runs. It raises
    :class:`EmbeddedUnavailable` when the server can't be had; ask
    :meth:`PostgresServer.check` before.

    ``stopService`` returns a Deferred that fires when the server is gone.

    :param reactor: its thread pool waits for the server's end.
    :param server: the server, not yet started.
    """

    def __init__(self, reactor: IReactorThreads, server: PostgresServer) -> None:
        self._reactor = reactor
        self.server = server

    def startService(self) -> None:
        """Start the server."""
        super().startService()
        self.server.start()

    def stopService(self) -> Deferred[None]:
        """Stop the server, without blocking the reactor."""
        super().stopService()
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self.server.stop)
