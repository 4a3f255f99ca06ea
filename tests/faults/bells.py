"""What tests of faults share that look at a whole doorbell: its functions run, or do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from tests.faults.case import HASTY, FaultTestCase, ring
from tests.waiting import in_time, wait_for
from txdoorbell.doorbell import Doorbell
from txdoorbell.listening.backoff import backoff_policy

HOUR = 3600.0


class BellFaultTestCase(FaultTestCase):
    """Tests of one fault each, with a doorbell whose safety net is an hour away."""

    log = Logger()

    def doorbell(self, dsn: str, *functions: Callable[..., object], **options: Any) -> Doorbell:
        """Return a doorbell that is started, with functions; it is stopped at the end."""
        hasty = {
            **HASTY,
            "channels": ["jobs"],
            "interval": HOUR,
            "backoff": backoff_policy(0.02, 0.1),
            **options,
        }
        bell = Doorbell(self.reactor(), dsn, **hasty)
        for function in functions:
            bell.add(function)
        bell.startService()
        self.addCleanup(self.stop_bell, bell)
        return bell

    async def stop_bell(self, bell: Doorbell) -> None:
        """Stop a doorbell, which must not take long whatever has become of its server."""
        await in_time("the doorbell's stop", bell.stopService(), 1.0)

    async def made_good(self, fault: str, began: list[float], before: int) -> None:
        """
        Wait for a run that makes good what was missed, from now on: the fault has just ended.

        How long that took is in trial's log, after "measured", for docs/reliability.rst.
        """
        since = self.reactor().seconds()
        await wait_for(f"a run after: {fault}", lambda: len(began) > before)
        took = self.reactor().seconds() - since
        self.log.info("measured: {fault}: {took:.3f} s", fault=fault, took=took)

    async def runs(self, bell: Doorbell, began: list[float], dsn: str) -> None:
        """Fail unless the next ring is followed by a run: one sent once LISTEN is committed."""
        await in_time("LISTEN", bell.when_listening())
        await in_time("the loop to be quiet", bell.loop.when_quiet())
        before = len(began)
        ring(dsn, "jobs", f"ring {next(self.names)}")
        await wait_for("a run that began after the ring", lambda: len(began) > before)
