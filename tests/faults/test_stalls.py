"""A network that holds everything back for a while, and loses nothing."""

from __future__ import annotations

from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT, address, ring, through
from tests.proxy import Proxy
from tests.servers import shared_server
from tests.waiting import wait_for


class StallTests(BellFaultTestCase):
    """A proxy that can hold back."""

    async def test_stalled(self) -> None:
        """Shorter than would be a loss, it costs the time that it takes, and no line in the log."""
        dsn = shared_server().dsn
        proxy = Proxy(self, address(dsn))
        began: list[float] = []
        bell = self.doorbell(
            through(dsn, proxy.port),
            lambda: began.append(self.reactor().seconds()),
            **{**PATIENT, "heartbeat": 0.1, "heartbeat_timeout": 5.0},
        )
        await self.runs(bell, began, dsn)
        before = len(began)
        proxy.stall()
        ring(dsn, "jobs", "held back")
        await self.heard_elsewhere(dsn)
        self.assertEqual(len(began), before)
        proxy.resume()
        await wait_for("a run for what was held back", lambda: len(began) > before)
        self.assertEqual(self.logged_texts(), [])

    async def heard_elsewhere(self, dsn: str) -> None:
        """Have a ring heard by a doorbell without the proxy."""
        began: list[float] = []
        bell = self.doorbell(dsn, lambda: began.append(0.0), **PATIENT)
        await self.runs(bell, began, dsn)
