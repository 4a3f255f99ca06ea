"""Two servers, one after the other the primary: the doorbell is where the writes are."""

from __future__ import annotations

from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT, address
from tests.proxy import Proxy
from tests.servers import execute, following, private_server, replica_server
from tests.waiting import in_time, wait_for
from txdoorbell.embedded import PostgresServer
from txdoorbell.notification import State


class FailoverTests(BellFaultTestCase):
    """A primary and its standby, in streaming replication; both are this test's own."""

    def setUp(self) -> None:
        """Have both, and note when the doorbell's function runs."""
        self.first = private_server(self)
        self.second = replica_server(self, self.first)
        ports = ",".join(str(address(server.dsn)[1]) for server in (self.first, self.second))
        self.dsn = (
            f"{self.first.dsn} host=127.0.0.1,127.0.0.1 port={ports}"
            " target_session_attrs=read-write"
        )
        super().setUp()
        self.began: list[float] = []

    def run_noted(self) -> None:
        """Be a processing function that notes when it runs."""
        self.began.append(self.reactor().seconds())

    async def promote(self, server: PostgresServer) -> None:
        """Make a standby the primary."""
        execute(server.dsn, "select pg_promote(false)")
        await wait_for(
            "the promotion",
            lambda: execute(server.dsn, "select pg_is_in_recovery()") == [(False,)],
        )

    async def replicated(self, primary: PostgresServer, standby: PostgresServer) -> None:
        """Wait until the standby has what the primary has: it does follow."""
        name = f"replicated{next(self.names)}"
        execute(primary.dsn, f"create table {name} ()")
        await wait_for(
            "the replication",
            lambda: execute(standby.dsn, "select to_regclass(%s)", (name,)) != [(None,)],
        )

    async def test_primary_killed(self) -> None:
        """The primary is killed and the standby promoted: the next ring there runs."""
        await self.replicated(self.first, self.second)
        bell = self.doorbell(self.dsn, self.run_noted, **PATIENT)
        await self.runs(bell, self.began, self.first.dsn)
        self.first.kill()
        await wait_for("the loss", lambda: bell.listener.state is not State.LISTENING)
        before = len(self.began)
        await self.promote(self.second)
        await self.made_good("primary killed, standby promoted", self.began, before)
        await self.runs(bell, self.began, self.second.dsn)
        await in_time("a probe", bell.listener.probe())

    async def test_becomes_standby(self) -> None:
        """
        The two change places, and back: the old primary, a standby now, is not listened to.

        The first address in the list answers all the while.
        """
        await self.replicated(self.first, self.second)
        bell = self.doorbell(self.dsn, self.run_noted, **PATIENT)
        await self.runs(bell, self.began, self.first.dsn)
        self.first.stop()
        await self.promote(self.second)
        self.demote(self.first, self.second)
        await self.runs(bell, self.began, self.second.dsn)
        await self.replicated(self.second, self.first)
        self.second.stop()
        await self.promote(self.first)
        await self.runs(bell, self.began, self.first.dsn)
        await in_time("a probe", bell.listener.probe())

    def demote(self, server: PostgresServer, primary: PostgresServer) -> None:
        """Start a stopped server as the standby of another one."""
        lines = [f"{name} = '{value}'\n" for name, value in following(primary).items()]
        (server.data / "postgresql.auto.conf").write_text("".join(lines))
        (server.data / "standby.signal").touch()
        server.start()

    async def test_standby_at_the_address(self) -> None:
        """
        Without the list: the only address has become a standby's, and the log says so in words.

        Nothing else would: it answers, and refuses LISTEN.
        """
        await self.replicated(self.first, self.second)
        listener, audience = await self.listening(self.first.dsn, **PATIENT)
        self.first.stop()
        await self.promote(self.second)
        self.demote(self.first, self.second)
        await wait_for("the refusal", lambda: "during recovery" in listener.reason)
        self.assertEqual(listener.reason, "cannot execute LISTEN during recovery")
        [text] = [text for text in self.logged_texts() if "LISTEN during recovery" in text]
        self.assertIn("is waiting", text)
        await self.replicated(self.second, self.first)
        self.second.stop()
        await self.promote(self.first)
        await self.hears(listener, audience, self.first.dsn)

    async def test_no_primary(self) -> None:
        """
        While there is no primary, the log says what each server's trouble is.

        Each attempt begins with another one, and says it in another order: that is no news.
        """
        self.first.stop()
        listener, audience = self.started(self.dsn)
        await wait_for("some attempts", lambda: len(self.losses(audience)) > 5)
        self.assertIsNot(listener.state, State.LISTENING)
        texts = [text for text in self.logged_texts() if "is waiting" in text]
        self.assertEqual(len(texts), 2)
        for text in texts:
            self.assertIn("session is read-only", text)
            self.assertIn("Connection refused", text)

    async def test_behind_one_address(self) -> None:
        """
        One address for both, which follows the primary: the old one is cut off, not killed.

        Its sessions live on, so nothing tells the doorbell but its probe.
        """
        await self.replicated(self.first, self.second)
        addresses = [address(self.first.dsn)]
        proxy = Proxy(self, lambda _: addresses[-1])
        dsn = f"{self.first.dsn} host=127.0.0.1 port={proxy.port}"
        bell = self.doorbell(dsn, self.run_noted)
        await self.runs(bell, self.began, self.first.dsn)
        before = len(self.began)
        addresses.append(address(self.second.dsn))
        await self.promote(self.second)
        await wait_for("the deafness", lambda: bell.listener.state is State.DEAF)
        await self.made_good("failover behind one address, found out", self.began, before)
        await wait_for("health", lambda: bell.listener.state is State.LISTENING)
        await self.runs(bell, self.began, self.second.dsn)
