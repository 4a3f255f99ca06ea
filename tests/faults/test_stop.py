"""A stop in every situation: prompt, and nothing is left."""

from __future__ import annotations

import socket

from twisted.internet.task import deferLater

from tests.faults.case import PATIENT, FaultTestCase, address, backends, through
from tests.proxy import Proxy
from tests.servers import execute, shared_server
from txdoorbell.notification import ListenerStopped, State
from txdoorbell.session import SessionEnded


class StopTests(FaultTestCase):
    """Trial fails these when a reader or delayed call is left; the base class times the stop."""

    def setUp(self) -> None:
        """Have a server."""
        self.dsn = shared_server().dsn
        super().setUp()

    async def test_while_connecting(self) -> None:
        """Stopped while a server says nothing."""
        mute = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(mute.close)
        listener, _ = self.started(through(self.dsn, mute.getsockname()[1]), connect_timeout=60.0)
        accepted, _ = mute.accept()
        self.addCleanup(accepted.close)
        self.assertEqual(listener.state, State.CONNECTING)
        await self.stop(listener)

    async def test_while_listening(self) -> None:
        """Stopped with questions under way: they fail, and it can be started again."""
        listener, audience = await self.listening(self.dsn)
        for _ in range(3):
            listener.set_channels(["jobs", f"c{next(self.names)}"])
            rung, probe = listener.notify("jobs", "x"), listener.probe()
            await self.stop(listener)
            await self.assertFailure(rung, ListenerStopped)
            await self.assertFailure(probe, Exception)
            listener.startService()
            await self.hears(listener, audience, self.dsn)

    async def test_half_open(self) -> None:
        """Stopped when the other end says nothing any more, in the midst of questions."""
        proxy = Proxy(self, address(self.dsn))
        listener, _ = await self.listening(through(self.dsn, proxy.port), **PATIENT)
        proxy.stop_forwarding()
        rung, probe = listener.notify("jobs"), listener.probe()
        listener.set_channels(["mail"])
        await self.stop(listener)
        await self.assertFailure(rung, ListenerStopped)
        await self.assertFailure(probe, Exception)

    async def test_just_lost(self) -> None:
        """Stopped in each of the turns in which the session is lost and the next one is made."""
        for turns in range(12):
            listener, _ = await self.listening(self.dsn, **PATIENT, backoff=lambda failures: 0)
            rung = listener.notify("jobs")
            execute(self.dsn, "select pg_terminate_backend(%s)", (backends(self.dsn)[0],))
            await self.turns(turns)
            rung.addErrback(lambda failure: failure.trap(ListenerStopped, SessionEnded))
            await self.stop(listener)

    async def test_at_every_moment(self) -> None:
        """Stopped after each number of turns of the reactor, from the start to listening."""
        for turns in range(25):
            listener, _ = self.started(self.dsn)
            await self.turns(turns)
            await self.stop(listener)

    async def turns(self, number: int) -> None:
        """Let the reactor turn so many times, and others work for a moment in each."""
        for _ in range(number):
            await deferLater(self.reactor(), 0.001)
