"""A pooler in between: transaction mode is found out and named, session mode serves fully."""

from __future__ import annotations

import psycopg2
from twisted.internet.task import deferLater

from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT, backends, ring
from tests.poolers import PgBouncer, find_pgbouncer
from tests.servers import execute, shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.notification import State


def never(failures: int) -> float:
    """Return a backoff that a test does not live to see the end of."""
    return 3600.0


class TransactionModeTests(BellFaultTestCase):
    """LISTEN succeeds, nothing is ever heard: the pooler gives the backend to somebody else."""

    def setUp(self) -> None:
        """Have a server, unless there is no pooler to put in front of it."""
        find_pgbouncer()
        self.dsn = shared_server().dsn
        super().setUp()

    async def test_transaction_mode(self) -> None:
        """Within the probe's time the state is deaf, and the log says what is likely the cause."""
        await self.deaf_behind("transaction")

    async def test_statement_mode(self) -> None:
        """Statement mode is no better, and found out as well."""
        await self.deaf_behind("statement")

    async def deaf_behind(self, mode: str) -> None:
        """Listen through a pooler in this mode, and see what is said of it."""
        pooler = PgBouncer(self, self.dsn, mode)
        options = {**PATIENT, "probe_timeout": 0.5, "backoff": never}
        listener, audience = self.started(pooler.dsn, **options)
        await in_time("LISTEN", listener.when_listening())
        began = self.reactor().seconds()
        await wait_for("the audience to be told", lambda: State.DEAF in audience.states)
        # The probe's timeout, and what a busy machine takes.
        self.assertLess(self.reactor().seconds() - began, 0.5 + 0.5)
        [text] = [text for text in self.logged_texts() if "is deaf" in text]
        self.assertIn("a pooler in transaction mode?", text)

    async def test_never_healthy(self) -> None:
        """
        It is tried anew, and stays deaf: a LISTEN that succeeds is not believed.

        Others use the pooler meanwhile, so that it hands its backends around.
        """
        pooler = PgBouncer(self, self.dsn, "transaction")
        _, audience = self.started(pooler.dsn)
        await wait_for("the audience to be told", lambda: State.DEAF in audience.states)
        told = len(audience.states)
        while len(audience.listens) < 4:
            execute(pooler.dsn, "select 1")
            ring(pooler.dsn, "jobs", "to no avail")
            await deferLater(self.reactor(), 0.05)
        self.assertEqual(audience.states[told:], [])

    async def test_safety_net(self) -> None:
        """While it is deaf, everything runs at a fifth of the interval."""
        pooler = PgBouncer(self, self.dsn, "transaction")
        began: list[float] = []
        now = self.reactor().seconds
        bell = self.doorbell(
            pooler.dsn, lambda: began.append(now()), interval=1.5, backoff=never, probe_timeout=0.2
        )
        await wait_for("the deafness", lambda: bell.listener.state is State.DEAF)
        before = len(began)
        await wait_for("four runs of the safety net", lambda: len(began) >= before + 4)
        for earlier, later in zip(began[before:], began[before + 1 :], strict=False):
            self.assertGreater(later - earlier, 0.25)
            self.assertLess(later - earlier, 1.0)


class SessionModeTests(BellFaultTestCase):
    """The backend is ours as long as we stay: all is as without a pooler."""

    def setUp(self) -> None:
        """Have a pooler in front of a server, and a doorbell's run noted."""
        find_pgbouncer()
        self.dsn = shared_server().dsn
        super().setUp()
        self.began: list[float] = []

    def run_noted(self) -> None:
        """Be a processing function that notes when it runs."""
        self.began.append(self.reactor().seconds())

    async def test_hears(self) -> None:
        """Rings from outside, through the pooler and by the doorbell itself are heard."""
        pooler = PgBouncer(self, self.dsn)
        listener, audience = await self.listening(pooler.dsn)
        await self.hears(listener, audience, self.dsn)
        await self.hears(listener, audience, pooler.dsn)
        await in_time("the ring", listener.notify("jobs", "by ourselves"))
        await wait_for("it to be heard", lambda: "by ourselves" in str(audience.heard))
        listener.set_channels(["jobs", "mail"])
        await in_time("LISTEN on the same session", listener.when_listening())
        ring(self.dsn, "mail", "a letter")
        await wait_for("the letter to be heard", lambda: "a letter" in str(audience.heard))
        self.assertEqual(self.losses(audience), [])
        self.assertEqual(self.logged_texts(), [])

    async def test_settings(self) -> None:
        """The session's settings and its name reach the backend, which startup options do not."""
        # Without a reset, the backend's next user finds what the listening session has set.
        pooler = PgBouncer(self, self.dsn, server_reset_query="")
        listener, _ = await self.listening(pooler.dsn, **PATIENT)
        [listening] = backends(self.dsn)[:1]
        await self.stop(listener)
        found = self.settings_of_backends(pooler, 2)
        self.assertEqual(found[listening], ("1min", "15000"))

    def settings_of_backends(self, pooler: PgBouncer, number: int) -> dict[int, tuple[str, str]]:
        """Connect so many times at once, and return what is set in each of the backends."""
        found = {}
        sessions = [psycopg2.connect(pooler.dsn, connect_timeout=10) for _ in range(number)]
        for session in sessions:
            self.addCleanup(session.close)
            with session.cursor() as cursor:
                cursor.execute(
                    "select pg_backend_pid(),"
                    " current_setting('idle_in_transaction_session_timeout'),"
                    " current_setting('tcp_user_timeout')"
                )
                [(pid, *values)] = cursor.fetchall()
                found[int(pid)] = (str(values[0]), str(values[1]))
        return found

    async def test_pooler_restarted(self) -> None:
        """The pooler is restarted, a ring is sent in the gap: it is made good, and others heard."""
        pooler = PgBouncer(self, self.dsn)
        bell = self.doorbell(pooler.dsn, self.run_noted, **PATIENT)
        await self.runs(bell, self.began, self.dsn)
        pooler.stop()
        await wait_for("the loss", lambda: bell.listener.state is not State.LISTENING)
        before = len(self.began)
        ring(self.dsn, "jobs", "in the gap")
        pooler.start()
        await self.made_good("pooler restarted", self.began, before)
        await self.runs(bell, self.began, self.dsn)

    async def test_reconnect(self) -> None:
        """RECONNECT on the pooler's console leaves a session alone that is in use."""
        pooler = PgBouncer(self, self.dsn)
        listener, audience = await self.listening(pooler.dsn)
        pooler.command("reconnect")
        await self.hears(listener, audience, self.dsn)
        await in_time("a probe", listener.probe())
        self.assertEqual(self.losses(audience), [])

    async def test_killed_and_resumed(self) -> None:
        """KILL on its console drops everybody: refused until RESUME, and then heard."""
        pooler = PgBouncer(self, self.dsn)
        bell = self.doorbell(pooler.dsn, self.run_noted, **PATIENT)
        await self.runs(bell, self.began, self.dsn)
        pooler.command("kill postgres")
        await wait_for("the loss", lambda: bell.listener.state is not State.LISTENING)
        before = len(self.began)
        ring(self.dsn, "jobs", "in the gap")
        pooler.command("resume postgres")
        await self.made_good("pooler killed and resumed", self.began, before)
        await self.runs(bell, self.began, self.dsn)

    async def test_frozen(self) -> None:
        """A pooler that stands still is as a half-open session: found out within its time."""
        pooler = PgBouncer(self, self.dsn)
        bell = self.doorbell(pooler.dsn, self.run_noted)
        await self.runs(bell, self.began, self.dsn)
        pooler.freeze()
        await wait_for("the doubt", lambda: bell.listener.state is not State.LISTENING, 2.0)
        pooler.stop()
        pooler.start()
        await self.runs(bell, self.began, self.dsn)

    async def test_pool_used_up(self) -> None:
        """A pool of one leaves no connection for the probe: deaf, with that as the reason."""
        pooler = PgBouncer(self, self.dsn, default_pool_size=1)
        listener, audience = self.started(pooler.dsn)
        await in_time("LISTEN", listener.when_listening())
        await wait_for("the doubt", lambda: listener.state is State.DEAF)
        self.assertIn("a probe could not be sent", listener.reason)
        ring(self.dsn, "jobs", "all the same")
        await wait_for("the ring to be heard", lambda: "all the same" in str(audience.heard))
        self.assertEqual(len(audience.listens), 1)
