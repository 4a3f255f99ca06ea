"""A builder for tests of the status page: a doorbell, a site, and a browser that is no browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.bells import BellTestCase
from txdoorbell.doorbell import Doorbell
from txdoorbell.status.access import Access
from txdoorbell.status.site import StatusResource, StatusSite

NO_METRICS = None if find_spec("prometheus_client") else "prometheus-client is not installed"

TOKEN = "correct-horse-battery-staple"


@dataclass(frozen=True)
class Answer:
    """What was answered; ``headers`` have small letters."""

    status: int
    headers: Mapping[str, str]
    body: str


class OtherSide(StringTransport):
    """The other side of a connection."""

    protocol: Any


class WebTestCase(BellTestCase):
    """
    Tests that ask over HTTP, without a network.

    :ivar bell: what is asked about.
    :ivar local: the address that is connected to.
    """

    token: str | None = TOKEN
    local: IPv4Address | UNIXAddress = IPv4Address("TCP", "10.0.0.7", 8765)

    def setUp(self) -> None:
        """Begin with a doorbell that listens, and a site for it."""
        super().setUp()
        self.bell = self.running(channels=["jobs", "mail"], interval=0)
        self.open(self.bell, Access(self.token, ["bell.example"]))

    def open(self, bell: Doorbell, access: Access) -> None:
        """Open the site."""
        self.resource = StatusResource(self.clock, bell, access)
        self.site = StatusSite(self.resource, timeout=None, reactor=self.clock)
        self.resource.start()
        self.addCleanup(self.resource.stop)

    def connect(self) -> OtherSide:
        """Return the other side of a new connection."""
        transport = OtherSide(hostAddress=self.local)
        protocol = self.site.buildProtocol(IPv4Address("TCP", "10.0.0.9", 5))
        assert protocol is not None
        protocol.makeConnection(transport)
        transport.protocol = protocol
        return transport

    def leave(self, transport: OtherSide) -> None:
        """Close a connection, from the other side."""
        transport.protocol.connectionLost(Failure(ConnectionDone()))

    def send(
        self,
        transport: OtherSide,
        path: str,
        method: str = "GET",
        body: str = "",
        **headers: str | None,
    ) -> None:
        """Send a request; a header that is None is left out, ``_`` stands for ``-`` in names."""
        given = {
            "host": "127.0.0.1:8765",
            "content_length": str(len(body.encode())),
            "content_type": "application/x-www-form-urlencoded",
            **headers,
        }
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{n.replace('_', '-')}: {v}" for n, v in given.items() if v is not None]
        transport.protocol.dataReceived("\r\n".join([*lines, "", body]).encode())

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: str = "",
        **headers: str | None,
    ) -> Answer:
        """Ask, and return the answer, which must be there at once."""
        transport = self.connect()
        self.send(transport, path, method, body, **headers)
        self.turn()
        head, _, content = transport.value().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        return Answer(int(first.split()[1]), {n.lower(): v for n, v in pairs}, content.decode())

    def act(self, action: str, body: str = "", **headers: str | None) -> Answer:
        """Ask for an action as the page does."""
        given = {"authorization": f"Bearer {TOKEN}", "origin": "http://127.0.0.1:8765", **headers}
        return self.ask(f"/{action}", "POST", body, **given)
