"""The faults of a soak: how each is made, and how its cause is taken away."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from tests.poolers import PgBouncer
from tests.proxy import Proxy
from tests.servers import execute
from txdoorbell.embedded import PostgresServer

_SESSIONS = (
    "select pid from pg_stat_activity where application_name = 'txdoorbell' order by backend_start"
)


@dataclass
class Site:
    """
    Where the faults are made.

    :ivar admin: the DSN of the server's superuser, in another database.
    :ivar doorbell: the process id of the twistd.
    :ivar pooler: between proxy and server; None for none.
    :ivar frozen: the processes that stand still.
    """

    server: PostgresServer
    proxy: Proxy
    admin: str
    doorbell: int
    pooler: PgBouncer | None = None
    frozen: list[int] = field(default_factory=list)

    async def sql(self, sql: str, *values: object) -> list[Any]:
        """Run a statement as an administrator."""
        rows: list[Any] = await deferToThread(execute, self.admin, sql, values or None)
        return rows

    async def sessions(self) -> list[int]:
        """Return the backends of the doorbell, the listening one first."""
        return [int(pid) for (pid,) in await self.sql(_SESSIONS)]

    def signal(self, number: signal.Signals, *pids: int) -> None:
        """Send a signal to processes that may have ended."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self, *pids: int) -> None:
        """Let processes stand still."""
        self.frozen += pids
        self.signal(signal.SIGSTOP, *pids)

    def thaw(self) -> None:
        """Let all of them go on."""
        frozen, self.frozen = self.frozen, []
        self.signal(signal.SIGCONT, *reversed(frozen))

    def server_processes(self) -> list[int]:
        """Return the server's processes, its main one first."""
        assert self.server.pid is not None
        main = self.server.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main, *map(int, children)]


Step = Callable[[Site], Awaitable[object]]


class FoundBy(Enum):
    """What finds a fault that is silent."""

    HEARTBEAT = "heartbeat"
    PROBE = "probe"


@dataclass(frozen=True)
class Fault:
    """
    One kind of fault.

    :ivar hold: the least and the most seconds until it is lifted.
    :ivar found_by: what has to find out, where nothing tells the doorbell.
    """

    name: str
    inject: Step
    lift: Step | None = None
    hold: tuple[float, float] = (0.0, 0.0)
    found_by: FoundBy | None = None


async def _terminate(site: Site) -> None:
    for pid in (await site.sessions())[:1]:
        await site.sql("select pg_terminate_backend(%s)", pid)


async def _terminate_all(site: Site) -> None:
    await site.sql(f"select pg_terminate_backend(pid) from ({_SESSIONS}) as ours")


async def _kill_backend(site: Site) -> None:
    site.signal(signal.SIGKILL, *(await site.sessions())[:1])


async def _freeze_backend(site: Site) -> None:
    site.freeze(*(await site.sessions())[:1])


async def _freeze_server(site: Site) -> None:
    site.freeze(*site.server_processes())


async def _freeze_postmaster(site: Site) -> None:
    site.freeze(*site.server_processes()[:1])


async def _freeze_doorbell(site: Site) -> None:
    site.freeze(site.doorbell)


async def _restart_doorbell(site: Site) -> None:
    site.signal(signal.SIGUSR2, site.doorbell)


async def _thaw(site: Site) -> None:
    site.thaw()


async def _stop_immediately(site: Site) -> None:
    await deferToThread(site.server.stop, "immediate")


async def _stop_fast(site: Site) -> None:
    await deferToThread(site.server.stop, "fast")


async def _start(site: Site) -> None:
    await deferToThread(site.server.start)


async def _swallow(site: Site) -> None:
    site.proxy.stop_forwarding()


async def _forward(site: Site) -> None:
    site.proxy.forward()


async def _stall(site: Site) -> None:
    site.proxy.stall()


async def _resume(site: Site) -> None:
    site.proxy.resume()


async def _refuse(site: Site) -> None:
    await site.proxy.refuse()
    site.proxy.reset()


async def _accept(site: Site) -> None:
    site.proxy.accept()


async def _reset(site: Site) -> None:
    site.proxy.reset()


async def _finish(site: Site) -> None:
    site.proxy.finish()


async def _restart_pooler(site: Site) -> None:
    if site.pooler is not None:
        site.pooler.stop()
        site.pooler.start()


async def _unlisten(site: Site) -> None:
    site.proxy.inject("unlisten *")


async def _close_database(site: Site) -> None:
    await site.sql("alter database soak allow_connections false")
    await _terminate_all(site)


async def _open_database(site: Site) -> None:
    await site.sql("alter database soak allow_connections true")


POOLER_RESTARTED = "pooler restarted"

FAULTS = [
    Fault("backend terminated", _terminate),
    Fault("all its backends terminated", _terminate_all),
    Fault("backend killed (kill -9)", _kill_backend),
    Fault("backend frozen (SIGSTOP)", _freeze_backend, _thaw, (0.5, 8.0), FoundBy.HEARTBEAT),
    Fault("server frozen", _freeze_server, _thaw, (0.5, 6.0), FoundBy.HEARTBEAT),
    Fault("server takes no connections", _freeze_postmaster, _thaw, (0.5, 6.0), FoundBy.PROBE),
    Fault("server restarted, immediate", _stop_immediately, _start, (0.0, 2.0)),
    Fault("server restarted, fast", _stop_fast, _start, (0.0, 2.0)),
    Fault("network swallows everything", _swallow, _forward, (0.5, 8.0), FoundBy.HEARTBEAT),
    Fault("network stalls", _stall, _resume, (0.2, 8.0), FoundBy.HEARTBEAT),
    Fault("network refuses", _refuse, _accept, (0.2, 4.0)),
    Fault("connection reset", _reset),
    Fault("connection closed", _finish),
    Fault(POOLER_RESTARTED, _restart_pooler),
    Fault("UNLISTEN * on its session", _unlisten, found_by=FoundBy.PROBE),
    Fault("database closed to newcomers", _close_database, _open_database, (0.2, 3.0)),
    Fault("doorbell itself restarted", _restart_doorbell),
    Fault("doorbell itself frozen", _freeze_doorbell, _thaw, (0.5, 6.0), FoundBy.HEARTBEAT),
]
