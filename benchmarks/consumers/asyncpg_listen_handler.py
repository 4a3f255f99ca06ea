"""asyncpg-listen, a handler that is given every notification."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from asyncpg_listen import NotificationListener, connect_func

from benchmarks.consumers.asyncpg_listener import address
from benchmarks.record import CHANNEL, Record

SETTLED = 1.0
"""Seconds until it listens, surely: it does not say when."""


def run(dsn: str, record: Record) -> None:
    """Run asyncio's loop for ever."""
    hear = record.hearer()

    async def handle(notification: Any) -> None:
        hear(notification.payload)

    threading.Timer(SETTLED, record.ready).start()
    listener = NotificationListener(connect_func(**address(dsn)))
    asyncio.run(listener.run({CHANNEL: handle}))
