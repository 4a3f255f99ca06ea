"""A way around: bytes pass through this process, until it is made to fail."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import ClientFactory, Factory, Protocol

from txdoorbell.loops.waiters import Waiters

__all__ = ["Address", "Detour"]

Address = str | tuple[str, int]
"""The path of a socket, or a host's address and a port."""


class Detour:
    """
    Forwards connections from 127.0.0.1 to one address, and breaks those that there are on demand.

    What it forwards it doesn't look at. It reads from the far side in any case: nobody there waits.

    :param target: where to.
    """

    def __init__(self, reactor: Any, target: Address) -> None:
        self._reactor = reactor
        self._target = target
        self._nears: set[_Near] = set()
        self._open: set[object] = set()
        self._closed = Waiters(lambda: not self._open)
        self._port: Any = None

    def open(self) -> int:
        """Accept connections from now on, on the port that is returned."""
        factory = Factory.forProtocol(lambda: _Near(self))
        factory.noisy = False
        self._port = self._reactor.listenTCP(0, factory, interface="127.0.0.1")
        port: int = self._port.getHost().port
        return port

    def black_hole(self) -> None:
        """Swallow what comes on the connections that there are, in both directions, for ever."""
        for near in self._nears:
            near.swallows = True

    def reset(self) -> None:
        """Break the connections that there are with a RST to who made them."""
        for near in list(self._nears):
            near.transport.abortConnection()

    async def close(self) -> None:
        """Accept and forward nothing more, and return when every connection is closed."""
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        self.reset()
        await self._closed.when()

    def entered(self, near: _Near) -> None:
        """Take a new connection."""
        self._nears.add(near)
        self._open.add(near)
        onward = _Onward(near)
        self._open.add(onward)
        if isinstance(self._target, str):
            self._reactor.connectUNIX(self._target, onward)
        else:
            self._reactor.connectTCP(*self._target, onward)

    def onward(self, far: _Far, attempt: object) -> None:
        """Take its other half, which an attempt has made."""
        self._open.add(far)
        self._open.discard(attempt)

    def ended(self, what: object) -> None:
        """Forget one half of a connection, or an attempt to make one."""
        self._nears = {near for near in self._nears if near is not what}
        self._open.discard(what)
        self._closed.look()


def _send_at_once(transport: Any) -> None:
    if ITCPTransport.providedBy(transport):
        transport.setTcpNoDelay(True)


class _Near(Protocol):
    """The half at whose end is who made the connection. It isn't read before there is another."""

    transport: Any

    def __init__(self, detour: Detour) -> None:
        self.detour = detour
        self.swallows = False
        self.ended = False
        self.far: Any = None

    def connectionMade(self) -> None:
        _send_at_once(self.transport)
        self.transport.pauseProducing()
        self.detour.entered(self)

    def dataReceived(self, data: bytes) -> None:
        if not self.swallows:
            self.far.write(data)

    def connectionLost(self, reason: object = None) -> None:
        self.ended = True
        if self.far is not None:
            self.far.loseConnection()
        self.detour.ended(self)


class _Far(Protocol):
    """The half at whose end is the target."""

    transport: Any

    def __init__(self, near: _Near, attempt: object) -> None:
        self.near = near
        self.attempt = attempt

    def connectionMade(self) -> None:
        _send_at_once(self.transport)
        self.near.detour.onward(self, self.attempt)
        self.near.far = self.transport
        if self.near.ended:
            self.transport.loseConnection()
        else:
            self.near.transport.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        if not self.near.swallows:
            self.near.transport.write(data)

    def connectionLost(self, reason: object = None) -> None:
        if not self.near.swallows:
            self.near.transport.loseConnection()
        self.near.detour.ended(self)


class _Onward(ClientFactory):
    """Makes the other half of a connection."""

    noisy = False

    def __init__(self, near: _Near) -> None:
        self.near = near

    def buildProtocol(self, addr: object) -> Protocol:
        return _Far(self.near, self)

    def clientConnectionFailed(self, connector: object, reason: object) -> None:
        self.near.transport.abortConnection()
        self.near.detour.ended(self)
