"""
The functions of a fleet's loops: each is a coroutine with several short transactions.

Between two of them a fault may come. A write that is refused doesn't end the function: whether its
loop ends it is what is looked at.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from twisted.internet.task import deferLater

from tests.fleet.ledger import LOOPS, Database

STEPS = ("step", "step", "step", "end")
PAUSE = 0.04
"""What a call writes after its first write, and the seconds between two."""

_calls = count(1)
_database = Database(os.environ.get("FLEET_DSN", ""), "fleet work")
_boot = os.environ.get("FLEET_BOOT", "")


def worker(loop: str) -> Callable[[Any], Awaitable[None]]:
    """Return the function of a loop."""

    async def work(lease: Any) -> None:
        from twisted.internet import reactor

        began, call = time.time(), next(_calls)

        def put(kind: str, due: float) -> float:
            values = (loop, int(lease), _boot, call, kind, began, due)
            _database.execute("select put(%s, %s, %s, %s, %s, %s, %s)", values)
            return time.time()

        now = put("begin", began)
        if _database.execute("delete from frost where loop = %s returning loop", (loop,)):
            os.kill(os.getpid(), signal.SIGSTOP)
            now = put("late", now)
        for kind in STEPS:
            await deferLater(reactor, PAUSE)
            now = put(kind, now + PAUSE)

    work.__name__ = work.__qualname__ = loop
    return work


billing, mail, reports, search, thumbnails = map(worker, LOOPS)
