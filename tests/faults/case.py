"""What every test of a fault shares: a listener in a hurry, and a look at what it leaves behind."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from psycopg2.extensions import parse_dsn
from twisted.trial.unittest import TestCase

from tests.audience import RecordingAudience
from tests.logs import LogMixin
from tests.servers import execute, private_server, shared_server, standby_server
from tests.waiting import in_time, wait_for
from txdoorbell.embedded import PostgresServer
from txdoorbell.listener import Listener
from txdoorbell.listening.backoff import backoff_policy
from txdoorbell.notification import State

HASTY: dict[str, Any] = {
    "connect_timeout": 1.0,
    "query_timeout": 1.0,
    "heartbeat": 0.3,
    "heartbeat_timeout": 0.3,
    "probe_interval": 0.3,
    "probe_timeout": 0.5,
}
PATIENT: dict[str, Any] = {**HASTY, "heartbeat": 0, "probe_interval": 0, "probe_timeout": 5.0}
"""No heartbeat and one probe per session: what else finds a fault must find it."""


class FaultTestCase(LogMixin, TestCase):
    """
    Tests of one fault each.

    Trial itself fails a test that leaves a delayed call or a reader, and one in which an error was
    logged. What descriptors are left is looked at here: sockets, since those of the reactor's own
    come and go with each test.
    """

    names = count()
    no_answer = "no answer to a query"
    """What is said of a session whose heartbeat isn't answered, as a regular expression."""
    in_recovery = "LISTEN during recovery"
    """What is said of a standby."""

    def setUp(self) -> None:
        """Begin to watch."""
        self.capture_logs()
        self.addCleanup(self.check_sockets, sockets())

    async def check_sockets(self, before: set[str]) -> None:
        """Fail when sockets are open that weren't before."""
        await wait_for("the sockets to be closed", lambda: not sockets() - before, 3.0)

    async def listening(
        self, dsn: str, *channels: str, **options: Any
    ) -> tuple[Listener, RecordingAudience]:
        """Return a listener that has committed LISTEN and heard a probe, and its audience."""
        listener, audience = self.started(dsn, *channels, **options)
        await in_time("the first LISTEN", listener.when_listening())
        await in_time("the first probe", listener.probe())
        return listener, audience

    def started(
        self, dsn: str, *channels: str, **options: Any
    ) -> tuple[Listener, RecordingAudience]:
        """Return a listener that is started, and its audience; it is stopped at the end."""
        hasty = {**HASTY, "backoff": backoff_policy(0.02, 0.1), **options}
        listener = self.make_source(dsn, channels=channels or ["jobs"], **hasty)
        audience = RecordingAudience()
        listener.report_to(audience)
        listener.startService()
        self.addCleanup(self.stop, listener)
        return listener, audience

    def make_source(self, dsn: str, **options: Any) -> Listener:
        """Return the source to be tested."""
        return Listener(self.reactor(), dsn, **options)

    def shared_server(self) -> PostgresServer:
        """Return a server that tests share."""
        return shared_server()

    def private_server(self, **options: Any) -> PostgresServer:
        """Return a server of this test's own."""
        return private_server(self, **options)

    def standby_server(self) -> PostgresServer:
        """Return a server in recovery, of this test's own."""
        return standby_server(self)

    def drop_database(self, dsn: str, name: str) -> None:
        """Drop a database that a source is still connected to."""
        execute(dsn, f"drop database {name} with (force)")

    def ring(self, dsn: str, channel: str, payload: str = "") -> None:
        """Ring a channel, from a session of somebody else, committed on return."""
        ring(dsn, channel, payload)

    async def stop(self, listener: Listener) -> None:
        """Stop a listener, which must not take long whatever has become of its server."""
        await in_time("the stop", listener.stopService(), 0.5)
        self.assertEqual(listener.state, State.STOPPED)

    def reactor(self) -> Any:
        """Return the reactor that runs this."""
        from twisted.internet import reactor

        return reactor

    async def hears(self, listener: Listener, audience: RecordingAudience, dsn: str) -> None:
        """Fail unless the next ring is heard: one sent once LISTEN is committed."""
        await in_time("LISTEN", listener.when_listening())
        payload = f"ring {next(self.names)}"
        self.ring(dsn, "jobs", payload)
        await wait_for(
            f"{payload!r} to be heard",
            lambda: payload in [heard for _, heard, _ in audience.heard],
        )

    async def healthy(self, listener: Listener) -> None:
        """Wait until the listener calls itself healthy."""
        await wait_for("health", lambda: listener.state is State.LISTENING)

    def losses(self, audience: RecordingAudience) -> list[str]:
        """Return the reasons for which a session was lost, or could not be made, in order."""
        return [str(call[1]) for call in audience.calls if call[0] is State.WAITING]


def sockets() -> set[str]:
    """Return the sockets that this process has open, by their names in /proc."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


def ring(dsn: str, channel: str, payload: str = "") -> None:
    """Notify, from a session of somebody else, committed on return."""
    execute(dsn, "select pg_notify(%s, %s)", (channel, payload))


def backends(dsn: str) -> list[int]:
    """Return the process ids of the listener's backends, the listening one first."""
    rows = execute(
        dsn,
        "select pid from pg_stat_activity where application_name = 'txdoorbell'"
        " order by backend_start",
    )
    return [int(pid) for (pid,) in rows]


def address(dsn: str) -> tuple[str, int]:
    """Return the host and the port of a DSN."""
    parameters = parse_dsn(dsn)
    return parameters["host"], int(parameters["port"])


def through(dsn: str, port: int) -> str:
    """Return the DSN with another port on 127.0.0.1."""
    return f"{dsn} host=127.0.0.1 port={port}"
