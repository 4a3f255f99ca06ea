"""The long run of a fleet: ``python -m tests.soak --fleet --minutes 15``."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.fleet.conductor import Fleet
from tests.fleet.members import Terms
from tests.servers import QUICK
from txdoorbell.embedded import PostgresServer

SIZE = 8
FAULTS = 30
"""How many processes there are; and how many faults at least, however short the time."""


def soak_fleet(
    folder: Path, terms: Terms, minutes: float, seed: int, say: Callable[[str], None]
) -> bool:
    """
    Run a fleet through faults, for some minutes.

    :param folder: for all files.
    :returns: whether all was well.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ExitStack() as stack:
        settings = {**QUICK, "log_min_messages": "fatal"}
        server = PostgresServer(folder / "data", tcp=True, settings=settings)
        stack.callback(server.stop, "immediate")
        server.start()
        fleet = Fleet(server, folder, [terms] * SIZE, seed=seed, say=say)
        stack.callback(fleet.close)
        fleet.start()
        fleet.endure(FAULTS, time.monotonic() + 60 * minutes)
        return not fleet.finish()
