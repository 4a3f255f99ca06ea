"""A stop in every situation: prompt, and nothing is left."""

from __future__ import annotations

import socket

from twisted.internet.task import deferLater

from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT, FaultTestCase, address, backends, through
from tests.proxy import Proxy
from tests.servers import execute, private_server, shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.doorbell import Doorbell
from txdoorbell.listening.session import SessionEnded
from txdoorbell.loop import Loop
from txdoorbell.notification import ListenerStopped, State


class StopTests(FaultTestCase):
    """Trial fails these when a reader or delayed call is left; the base class times the stop."""

    def setUp(self) -> None:
        """Have a server."""
        self.dsn = self.shared_server().dsn
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


class DoorbellStopTests(BellFaultTestCase):
    """A whole doorbell is stopped; it has an hour for each of its functions."""

    def setUp(self) -> None:
        """Note when the doorbell's function runs."""
        super().setUp()
        self.began: list[float] = []

    def bell(self, dsn: str) -> Doorbell:
        """Return a doorbell with a function."""
        loop = Loop(self.reactor(), stop_timeout=3600.0)
        now = self.reactor().seconds
        return self.doorbell(dsn, lambda: self.began.append(now()), **PATIENT, loop=loop)

    async def stops(self, bell: Doorbell) -> None:
        """Fail unless it stops at once."""
        await in_time("the stop", bell.stopService(), 0.5)
        self.assertEqual(bell.listener.state, State.STOPPED)

    async def test_half_open(self) -> None:
        """The other end says nothing any more, to the session, a probe or a ring."""
        dsn = shared_server().dsn
        proxy = Proxy(self, address(dsn))
        bell = self.bell(through(dsn, proxy.port))
        await self.runs(bell, self.began, dsn)
        proxy.stop_forwarding()
        rung, probe = bell.ring("jobs"), bell.listener.probe()
        bell.add_channels("mail")
        await self.stops(bell)
        await self.assertFailure(rung, ListenerStopped)
        await self.assertFailure(probe, Exception)
        proxy.forward()
        bell.startService()
        await self.runs(bell, self.began, dsn)

    async def test_dead(self) -> None:
        """The server is gone, and comes back when the doorbell does."""
        server = private_server(self)
        bell = self.bell(server.dsn)
        await self.runs(bell, self.began, server.dsn)
        server.stop("immediate")
        await wait_for("the loss", lambda: bell.listener.state is not State.LISTENING)
        await self.stops(bell)
        server.start()
        bell.startService()
        await self.runs(bell, self.began, server.dsn)
