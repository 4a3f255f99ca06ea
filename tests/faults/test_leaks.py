"""Sessions that have ended are forgotten: an outage of weeks costs no memory."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable

from tests.faults.case import PATIENT, FaultTestCase, address, backends, through
from tests.proxy import Proxy
from tests.servers import execute
from tests.waiting import in_time, wait_for
from txdoorbell.listening.session import Session

ATTEMPTS = 30


class LeakTests(FaultTestCase):
    """A listener that loses one session after the other, or gets none."""

    def setUp(self) -> None:
        """Have a server, and count what tests before have left."""
        self.dsn = self.shared_server().dsn
        super().setUp()
        self.before = sessions()

    few = 4
    """How many sessions may be left: the listening one, a probe's, the last one."""

    async def forgotten(self, what: str) -> None:
        """Fail unless but a few sessions are left."""
        await wait_for(f"the end of {what}", lambda: sessions() - self.before <= self.few, 2.0)

    async def test_given_up(self) -> None:
        """Attempts that are given up at their deadline."""
        mute = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(mute.close)
        dsn = through(self.dsn, mute.getsockname()[1])
        _, audience = self.started(dsn, connect_timeout=0.01, backoff=lambda failures: 0.0)
        await wait_for("the attempts", lambda: len(self.losses(audience)) >= ATTEMPTS)
        await self.forgotten("attempts that were given up")

    async def test_refused(self) -> None:
        """Attempts that are refused."""
        _, audience = self.started(through(self.dsn, 1), backoff=lambda failures: 0.0)
        await wait_for("the attempts", lambda: len(self.losses(audience)) >= ATTEMPTS)
        await self.forgotten("attempts that were refused")

    async def test_terminated(self) -> None:
        """Sessions that are terminated while their probe connects."""
        await self.lost_by(lambda proxy: terminate(self.dsn))

    async def test_reset(self) -> None:
        """Sessions that the network breaks while their probe connects."""
        await self.lost_by(Proxy.reset)

    async def lost_by(self, fault: Callable[[Proxy], object]) -> None:
        """Lose sessions as soon as they have committed LISTEN."""
        proxy = Proxy(self, address(self.dsn))
        options = {**PATIENT, "backoff": lambda failures: 0.0}
        listener, audience = self.started(through(self.dsn, proxy.port), **options)
        while len(audience.listens) < ATTEMPTS:
            await in_time("LISTEN", listener.when_listening())
            known = len(audience.listens)
            fault(proxy)
            await self.more_than(audience.listens, known)
        await in_time("a probe", listener.probe())
        await self.forgotten("sessions that were lost")

    async def more_than(self, known: list[tuple[frozenset[str], bool]], number: int) -> None:
        """Wait for a further LISTEN."""
        await wait_for("the next session", lambda: len(known) > number)

    async def test_stopped(self) -> None:
        """Sessions that are closed while they connect, since the listener is stopped."""
        listener, _ = self.started(self.dsn)
        for _ in range(ATTEMPTS):
            await in_time("the stop", listener.stopService())
            listener.startService()
        await self.forgotten("sessions that were closed")


def sessions() -> int:
    """Return how many sessions there are in memory."""
    gc.collect()
    return sum(issubclass(type(known), Session) for known in gc.get_objects())


def terminate(dsn: str) -> None:
    """End the listening session, as an administrator."""
    for pid in backends(dsn)[:1]:
        execute(dsn, "select pg_terminate_backend(%s)", (pid,))
