"""A TCP proxy that misbehaves on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.trial.unittest import TestCase

from tests.waiting import in_time, wait_for

Target = tuple[str, int]


class Proxy:
    """
    Stands between a client and a server, on 127.0.0.1 and in the reactor; accepts from the start.

    :param testcase: its cleanup closes the proxy.
    :param target: the host and port of the server, or a function that returns those for the number
        of a connection, from 1.
    :ivar port: where it listens, the same for ever.
    :ivar accepted: how many connections there were.
    """

    def __init__(self, testcase: TestCase, target: Target | Callable[[int], Target]) -> None:
        from twisted.internet import reactor

        self._reactor: Any = reactor
        self._target = target if callable(target) else lambda _: target
        self._pairs: dict[_ClientSide, None] = {}
        self._listening: Any = None
        self.is_forwarding = True
        self.is_stalled = False
        self.accepted = 0
        self.port = 0
        self.accept()
        testcase.addCleanup(self.close)

    def accept(self) -> None:
        """Accept connections again."""
        if self._listening is None:
            factory = Factory.forProtocol(lambda: _ClientSide(self))
            self._listening = self._reactor.listenTCP(self.port, factory, interface="127.0.0.1")
            self.port = self._listening.getHost().port

    async def refuse(self) -> None:
        """Refuse new connections; those that are there stay."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await in_time("the proxy's port to close", maybeDeferred(listening.stopListening))

    def stop_forwarding(self) -> None:
        """Swallow everything in both directions; accept new connections, and swallow theirs."""
        self.is_forwarding = False

    def forward(self) -> None:
        """Forward new connections again; the old ones, which have lost something, stay mute."""
        self.is_forwarding = True

    def stall(self) -> None:
        """Hold back everything in both directions, as a network does that loses packets."""
        self.is_stalled = True
        for pair in self._pairs:
            pair.pause()

    def resume(self) -> None:
        """Deliver what was held back, and go on: nothing is lost."""
        self.is_stalled = False
        for pair in self._pairs:
            pair.resume()

    def inject(self, sql: str) -> bool:
        """
        Run statements on the oldest connection, as if its client had sent them.

        The client is sent the answer. libpq passes over one that it hasn't asked for, unless it
        waits for another one at the time.

        :returns: False when there is no connection.
        """
        body = sql.encode() + b"\0"
        live = [pair for pair in self._pairs if pair.is_live]
        for pair in live[:1]:
            pair.server.write(b"Q" + (len(body) + 4).to_bytes(4, "big") + body)
        return bool(live)

    def reset(self) -> None:
        """Break all connections with a RST to the client."""
        for pair in list(self._pairs):
            pair.end(abort=True)

    def finish(self) -> None:
        """Close all connections with a FIN to the client."""
        for pair in list(self._pairs):
            pair.end(abort=False)

    async def close(self) -> None:
        """Stop, and wait until nothing of it is left in the reactor."""
        await self.refuse()
        self.reset()
        await wait_for("the proxy's connections to end", lambda: not self._pairs)

    def join(self, client: _ClientSide) -> None:
        """Take a new connection, and connect it to its server."""
        self.accepted += 1
        self._pairs[client] = None
        if self.is_forwarding:
            self._reactor.connectTCP(*self._target(self.accepted), _ServerFactory(client))

    def part(self, client: _ClientSide) -> None:
        """Forget a connection that has ended on both sides."""
        self._pairs.pop(client, None)


class _ClientSide(Protocol):
    """What the client is connected to. It is over when both sides are."""

    transport: Any

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.mute = False
        self.early: list[bytes] = []
        self.server: Any = None
        self.ended = False

    def connectionMade(self) -> None:
        """Have a server found."""
        self.mute = not self.proxy.is_forwarding
        self.proxy.join(self)

    def dataReceived(self, data: bytes) -> None:
        """Pass on to the server."""
        if self.passes():
            if self.server is None:
                self.early.append(data)
            else:
                self.server.write(data)

    def passes(self) -> bool:
        """Return whether to pass on; once not, never again."""
        self.mute = self.mute or not self.proxy.is_forwarding
        return not self.mute

    def served(self, server: Any) -> None:
        """Have a server, by its transport."""
        self.server = server
        if self.ended:
            server.abortConnection()
        server.writeSequence(self.early)
        if self.proxy.is_stalled:
            self.pause()

    @property
    def is_live(self) -> bool:
        """Whether what the client sends reaches a server."""
        return self.server is not None and not self.mute and not self.ended

    def pause(self) -> None:
        """Read nothing more from either side."""
        for side in (self.transport, self.server):
            if side is not None:
                side.pauseProducing()

    def resume(self) -> None:
        """Read again from those sides that are still there."""
        for side in (self.transport, self.server):
            if side is not None and side.connected and not side.disconnecting:
                side.resumeProducing()

    def unserved(self) -> None:
        """Have no server any more."""
        self.server = None
        if self.ended:
            self.proxy.part(self)
        elif self.passes():
            self.transport.loseConnection()

    def end(self, *, abort: bool) -> None:
        """Let the client know the end."""
        if abort:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def connectionLost(self, reason: object = None) -> None:
        """End the other side too."""
        self.ended = True
        if self.server is None:
            self.proxy.part(self)
        else:
            self.server.abortConnection()


class _ServerSide(Protocol):
    """What is connected to the server."""

    transport: Any

    def __init__(self, client: _ClientSide) -> None:
        self.client = client

    def connectionMade(self) -> None:
        """Introduce the server to the client."""
        self.client.served(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Pass on to the client."""
        if self.client.passes():
            self.client.transport.write(data)

    def connectionLost(self, reason: object = None) -> None:
        """End the client's side too."""
        self.client.unserved()


class _ServerFactory(ClientFactory):
    """Connects one client."""

    noisy = False

    def __init__(self, client: _ClientSide) -> None:
        self.client = client

    def buildProtocol(self, addr: object) -> Protocol:
        """Make the server's side."""
        return _ServerSide(self.client)

    def clientConnectionFailed(self, connector: object, reason: object) -> None:
        """Have no server at all."""
        self.client.unserved()
