"""A session that is lost: it is noticed, once, and the next ring is heard."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from tests.faults.case import PATIENT, FaultTestCase, address, backends, through
from tests.proxy import Proxy
from tests.servers import execute
from tests.waiting import wait_for
from txdoorbell.notification import State


class LossTests(FaultTestCase):
    """Sessions that end, at a server that all of these tests share."""

    def setUp(self) -> None:
        """Have the server."""
        self.dsn = self.shared_server().dsn
        super().setUp()

    async def test_terminated_twenty_times(self) -> None:
        """
        An administrator ends the session twenty times, and each time a ring is sent in the gap.

        Each ring is made good: after it, LISTEN is committed and everything is to run.
        """
        listener, audience = await self.listening(self.dsn, **PATIENT)
        for number in range(20):
            audience.listens.clear()
            execute(self.dsn, "select pg_terminate_backend(%s)", (backends(self.dsn)[0],))
            self.ring(self.dsn, "jobs", "in the gap")
            await wait_for("LISTEN", lambda: audience.listens)
            self.assertEqual(audience.listens, [(frozenset({"jobs"}), True)])
            self.assertEqual(len(self.losses(audience)), number + 1)
            await self.hears(listener, audience, self.dsn)
        for reason in self.losses(audience):
            self.assertIn("terminating connection due to administrator command", reason)

    async def test_reset(self) -> None:
        """The network breaks the connection: that is one loss, and one line in the log."""
        await self.broken_by(Proxy.reset)

    async def test_finished(self) -> None:
        """A proxy or server closes the connection without a word: also one loss."""
        await self.broken_by(Proxy.finish)

    async def broken_by(self, fault: Callable[[Proxy], None]) -> None:
        """Break the connection, and see that it is lost once and made anew."""
        proxy = Proxy(self, address(self.dsn))
        listener, audience = await self.listening(through(self.dsn, proxy.port), **PATIENT)
        fault(proxy)
        await wait_for("the loss", lambda: self.losses(audience))
        await self.hears(listener, audience, self.dsn)
        self.assertEqual(len(self.losses(audience)), 1)
        self.assertEqual(len([text for text in self.logged_texts() if "is waiting" in text]), 1)

    async def test_lost_in_listen(self) -> None:
        """The connection breaks while LISTEN is under way: it is made anew, and again."""
        proxy = Proxy(self, address(self.dsn))
        listener, audience = await self.listening(through(self.dsn, proxy.port), **PATIENT)
        for _ in range(5):
            listener.set_channels(["jobs", f"more{len(audience.listens)}"])
            proxy.reset()
            await wait_for("LISTEN", lambda: len(audience.listens) > len(self.losses(audience)))
        await self.hears(listener, audience, self.dsn)

    async def test_half_open(self) -> None:
        """The other end is gone without a word: heartbeat or probe find out within their time."""
        proxy = Proxy(self, address(self.dsn))
        listener, audience = await self.listening(through(self.dsn, proxy.port))
        began = self.reactor().seconds()
        proxy.stop_forwarding()
        await wait_for("the loss", lambda: listener.state is not State.LISTENING)
        # Twice the interval and the longer of both deadlines, and what a busy machine takes.
        self.assertLess(self.reactor().seconds() - began, 0.3 + 0.5 + 0.5)
        proxy.forward()
        await self.healthy(listener)
        await self.hears(listener, audience, self.dsn)

    async def test_half_open_heartbeat(self) -> None:
        """Without a probe, the heartbeat alone finds the half-open session."""
        proxy = Proxy(self, address(self.dsn))
        options = {**PATIENT, "heartbeat": 0.2}
        listener, audience = await self.listening(through(self.dsn, proxy.port), **options)
        proxy.stop_forwarding()
        await wait_for("the loss", lambda: self.losses(audience), 1.5)
        proxy.forward()
        await self.hears(listener, audience, self.dsn)
        self.assertRegex(self.losses(audience)[0], f"{self.no_answer} within 0.3 s")

    async def test_half_open_forever(self) -> None:
        """While the other end stays mute, attempts go on, and a stop is prompt."""
        proxy = Proxy(self, address(self.dsn))
        listener, _ = await self.listening(through(self.dsn, proxy.port), connect_timeout=0.2)
        proxy.stop_forwarding()
        before = proxy.accepted
        await wait_for("three attempts", lambda: proxy.accepted >= before + 3)
        self.assertNotEqual(listener.state, State.LISTENING)

    async def test_frozen_backend(self) -> None:
        """The server's process stands still, and its connection lives: the heartbeat finds out."""
        listener, audience = await self.listening(self.dsn)
        frozen = backends(self.dsn)[0]
        os.kill(frozen, signal.SIGSTOP)
        self.addCleanup(os.kill, frozen, signal.SIGCONT)
        await wait_for("the loss", lambda: listener.state is not State.LISTENING)
        await self.healthy(listener)
        await self.hears(listener, audience, self.dsn)

    async def test_blocked_reactor(self) -> None:
        """A function that blocks the reactor beyond every deadline costs no session."""
        listener, audience = await self.listening(self.dsn, probe_interval=0.001)

        class Blocking(Protocol):
            def dataReceived(self, data: bytes) -> None:
                time.sleep(0.7)  # noqa: TID251 - this is the fault

        blocking = self.reactor().listenTCP(0, Factory.forProtocol(Blocking), interface="127.0.0.1")
        self.addCleanup(blocking.stopListening)
        with socket.create_connection(("127.0.0.1", blocking.getHost().port)) as client:
            for _ in range(4):
                client.send(b"x")
                await deferLater(self.reactor(), 1.0)
        await self.hears(listener, audience, self.dsn)
        self.assertEqual(audience.states, [State.CONNECTING, State.LISTENING])


class ServerLossTests(FaultTestCase):
    """Servers that go away, each test's own."""

    async def test_stopped_immediately(self) -> None:
        """The server is stopped in the hard way and started later: the next ring is heard."""
        server = self.private_server()
        listener, audience = await self.listening(server.dsn, **PATIENT)
        server.stop("immediate")
        await wait_for("the loss", lambda: self.losses(audience))
        await wait_for("a refusal", lambda: "refused" in listener.reason)
        server.start()
        await self.hears(listener, audience, server.dsn)

    async def test_crashed_backend(self) -> None:
        """A backend is killed, so that the server recovers: refused meanwhile, then heard."""
        server = self.private_server()
        listener, audience = await self.listening(server.dsn, **PATIENT)
        os.kill(backends(server.dsn)[0], signal.SIGKILL)
        await wait_for("the loss", lambda: self.losses(audience))
        await self.hears(listener, audience, server.dsn)

    async def test_absent_at_start(self) -> None:
        """The server isn't there at the start: one line says so, and it is waited for."""
        server = self.private_server(start=False)
        listener, audience = self.started(server.dsn)
        await wait_for("some attempts", lambda: len(self.losses(audience)) > 4)
        refusals = [text for text in self.logged_texts() if "refused" in text]
        self.assertEqual(len(refusals), 1)
        server.start()
        await self.hears(listener, audience, server.dsn)
