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

from tests.fleet.ledger import LOOPS, RESTLESS, STEPS, Database

PAUSE = 0.04
"""Seconds between two writes of a call."""

REST = 0.15
"""Seconds from a call of a restless loop's function to the next one."""

_calls = count(1)
_database = Database(os.environ.get("FLEET_DSN", ""), "fleet work")
_boot = os.environ.get("FLEET_BOOT", "")


def worker(loop: str) -> Callable[[Any], Awaitable[float | None]]:
    """Return the function of a loop."""

    async def work(lease: Any) -> float | None:
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
        for step in range(STEPS[loop]):
            await deferLater(reactor, PAUSE)
            now = put("step" if step < STEPS[loop] - 1 else "end", now + PAUSE)
        return REST if loop in RESTLESS else None

    work.__name__ = work.__qualname__ = loop
    return work


billing, mail, reports, search, thumbnails = map(worker, LOOPS)
