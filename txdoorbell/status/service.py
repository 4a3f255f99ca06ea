"""The service that shows a doorbell's status at an endpoint."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from txdoorbell.doorbell import Doorbell
from txdoorbell.status.access import Access, check_token
from txdoorbell.status.site import StatusResource, StatusSite

__all__ = ["FIRST_TRY", "StatusService", "check_endpoint"]

FIRST_TRY = "tcp:8765:interface=127.0.0.1"
"""Where the first try shows its page, if that port is free."""

_ANY = "tcp:0:interface=127.0.0.1"
_LAST_PORT = 65535


def check_endpoint(text: str) -> str:
    """
    Return the description of a server's endpoint, when it is one.

    :raises ValueError: when it isn't, in one line.
    """
    try:
        serverFromString(object(), text)
        _check_port(text)
    except Exception as error:  # noqa: BLE001 - each kind of endpoint has its own way to complain
        detail = " ".join(str(error).split())
        raise ValueError(
            f"{text!r} is no endpoint ({type(error).__name__}: {detail}); one is, for example, "
            f"{FIRST_TRY}"
        ) from None
    return text


def _check_port(text: str) -> None:
    # Twisted finds out when it binds.
    port = re.match("tcp6?:(?:port=)?([0-9]+)(?::|$)", text)
    if port is not None and int(port[1]) > _LAST_PORT:
        raise ValueError(f"port {port[1]} is over {_LAST_PORT}")


class StatusService(Service):
    """
    Show the status of a doorbell: a page, JSON, metrics, and whether it is well and ready.

    :param endpoint: a Twisted endpoint, such as ``tcp:8765:interface=127.0.0.1``; see
        :func:`twisted.internet.endpoints.serverFromString`. None is the first try's: where that
        port is taken, another one.
    :param token: what those must know who ring, run and mute; None when nobody may.
    :param hosts: names of the endpoint, besides its addresses and localhost.
    :ivar url: the page's address, once it can be reached.
    :raises ValueError: for an endpoint or a token that can't be.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        bell: Doorbell,
        endpoint: str | None = None,
        *,
        token: str | None = None,
        hosts: Iterable[str] = (),
    ) -> None:
        self._reactor = reactor
        self._name = check_endpoint(endpoint or FIRST_TRY)
        self._or_any = endpoint is None
        access = Access(token and check_token(token), hosts)
        self._resource = StatusResource(reactor, bell, access)
        self._site = StatusSite(self._resource, reactor=reactor)
        self._port: IListeningPort | None = None
        self._listening: Deferred[None] | None = None
        self.url = ""

    def privilegedStartService(self) -> None:
        """Open the endpoint, before anything else is begun."""
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        """
        Open the endpoint, unless that has been done, and answer.

        :raises NotShown: when it can't be opened, with the reason.
        """
        if self.running:
            return
        super().startService()
        self._listen()
        self._resource.start()

    def stopService(self) -> Deferred[None]:
        """
        Close the endpoint, and end the connections of those who watch.

        :returns: fires when it is closed.
        """
        super().stopService()
        self._resource.stop()
        port, self._port, self._listening = self._port, None, None
        return succeed(None) if port is None else _closed(port)

    def _make(self, name: str) -> IStreamServerEndpoint:
        endpoint: IStreamServerEndpoint = serverFromString(self._reactor, name)
        return endpoint

    def _listen(self) -> None:
        if self._listening is not None:
            return
        opening = self._make(self._name).listen(self._site)
        if self._or_any:
            opening.addErrback(self._elsewhere)
        failures: list[str] = []
        self._listening = opening.addCallback(self._open)
        self._listening.addErrback(lambda failure: failures.append(_why(failure)))
        if failures:
            self._listening = None
            raise NotShown(f"the status page can't be shown: {failures[0]}")

    def _elsewhere(self, failure: Failure) -> Deferred[IListeningPort]:
        # Whoever binds at the same moment as we do is seen only when we listen: an OSError.
        failure.trap(CannotListenError, OSError)
        self.log.info("the status page is not at {name}: {why}", name=self._name, why=_why(failure))
        return self._make(_ANY).listen(self._site)

    def _open(self, port: IListeningPort) -> None:
        self._port = port
        self.url = _url(port.getHost())
        self.log.info("the status page is at {url}", url=self.url)


class NotShown(SystemExit, Exception):
    """
    The endpoint can't be opened; the text says why.

    A daemon's first process waits until the second one has started, or has failed with an
    ``Exception``: from a mere ``SystemExit`` it would never hear.
    """


def _closed(port: IListeningPort) -> Deferred[None]:
    stopped = port.stopListening()
    return stopped.addCallback(lambda _: None) if stopped is not None else succeed(None)


def _why(failure: Failure) -> str:
    error = failure.value
    if isinstance(error, CannotListenError):
        where = error.port if not error.interface else f"{error.interface}:{error.port}"
        return f"{where}: {getattr(error.socketError, 'strerror', None) or error.socketError}"
    if isinstance(error, OSError) and (path := error.filename2 or error.filename):
        return f"{os.fsdecode(path)}: {error.strerror}"
    return failure.getErrorMessage()


def _url(address: Any) -> str:
    if not hasattr(address, "port"):
        name = getattr(address, "name", address)
        return f"unix:{name.decode() if isinstance(name, bytes) else name}"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    return f"http://[{host}]:{address.port}/" if ":" in host else f"http://{host}:{address.port}/"
