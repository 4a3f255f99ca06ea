"""A fleet of real processes at a real server, through faults of all kinds: the short version."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from tests.fleet.conductor import Fleet
from tests.fleet.faults import stop
from tests.fleet.members import HASTY, Terms
from tests.servers import open_folder, private_server

FAULTS = 10
"""All kinds, and one more; the long version has 30 at least."""


class FleetTests(SynchronousTestCase):
    """``twistd doorbell`` in several places, with the same locked loops."""

    log = Logger()

    def fleet(self, *terms: Terms) -> Fleet:
        """Return a fleet with all its loops held; it is ended in any case."""
        seed = int.from_bytes(os.urandom(3))
        self.log.info("measured: the seed is {seed}", seed=seed)
        server = private_server(self)
        folder: Path = open_folder(self)
        fleet = Fleet(server, folder, terms, seed=seed, say=self.say)
        self.addCleanup(fleet.close)
        fleet.start()
        return fleet

    def say(self, line: str) -> None:
        """Put a line into trial's log."""
        self.log.info("measured: {line}", line=line)

    def test_faults(self) -> None:
        """
        Processes die, freeze and come back, and the server goes away: one place for each loop.

        No lease is had by two, no ring is missed, and what a zombie writes is refused.
        """
        fleet = self.fleet(*[HASTY] * 8)
        fleet.endure(FAULTS)
        self.assertEqual(fleet.finish(), [])

    def test_orderly_stop(self) -> None:
        """Who stops in order hands over at once: a standby that tries each hour has it now."""
        fleet = self.fleet(Terms(max_loops=5), Terms(lock_interval=3600.0, max_loops=5))
        fleet.make(stop)
        self.assertEqual(fleet.finish(), [])
