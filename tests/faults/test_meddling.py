"""Somebody meddles with the listening session, and with what lies between: it is noticed."""

from __future__ import annotations

from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT, address, ring, through
from tests.proxy import Proxy
from tests.servers import shared_server
from tests.waiting import wait_for
from txdoorbell.notification import State


class MeddlingTests(BellFaultTestCase):
    """A proxy that does more than pass on."""

    def setUp(self) -> None:
        """Have it, in front of a server, and note when the doorbell's function runs."""
        self.dsn = shared_server().dsn
        super().setUp()
        self.proxy = Proxy(self, address(self.dsn))
        self.began: list[float] = []

    def run_noted(self) -> None:
        """Be a processing function that notes when it runs."""
        self.began.append(self.reactor().seconds())

    async def test_unlisten(self) -> None:
        """The session is made to UNLISTEN everything: the next probe finds out, and mends it."""
        bell = self.doorbell(through(self.dsn, self.proxy.port), self.run_noted)
        await self.runs(bell, self.began, self.dsn)
        before = len(self.began)
        self.assertTrue(self.proxy.inject("unlisten *"))
        ring(self.dsn, "jobs", "unheard")
        await wait_for("a run that makes it good", lambda: len(self.began) > before)
        await wait_for("health", lambda: bell.listener.state is State.LISTENING)
        await self.runs(bell, self.began, self.dsn)

    async def test_stalled(self) -> None:
        """The network holds everything back for a while, shorter than would be a loss."""
        options = {**PATIENT, "heartbeat": 0.1, "heartbeat_timeout": 5.0}
        bell = self.doorbell(through(self.dsn, self.proxy.port), self.run_noted, **options)
        await self.runs(bell, self.began, self.dsn)
        before = len(self.began)
        self.proxy.stall()
        ring(self.dsn, "jobs", "held back")
        await self.heard_elsewhere()
        self.assertEqual(len(self.began), before)
        self.proxy.resume()
        await wait_for("a run for what was held back", lambda: len(self.began) > before)
        self.assertEqual(self.logged_texts(), [])

    async def heard_elsewhere(self) -> None:
        """Have a ring heard by a doorbell without the proxy."""
        began: list[float] = []
        bell = self.doorbell(self.dsn, lambda: began.append(0.0), **PATIENT)
        await self.runs(bell, began, self.dsn)
