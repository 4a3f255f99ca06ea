"""LISTEN is undone behind the listener's back, on a session that lives on."""

from __future__ import annotations

from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT, address, backends, ring, through
from tests.proxy import Proxy
from tests.servers import execute, shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.notification import State

ROUND = 0.3
"""Seconds between two probes, here; a busy machine is given as much again."""
OPTIONS = {**PATIENT, "probe_interval": ROUND}


class UndoneTests(BellFaultTestCase):
    """A proxy gives statements of its own to the session, as a pooler might."""

    def setUp(self) -> None:
        """Have a server, and the proxy in front of it."""
        self.dsn = shared_server().dsn
        super().setUp()
        self.proxy = Proxy(self, address(self.dsn))
        self.place = through(self.dsn, self.proxy.port)

    async def given(self, sql: str) -> None:
        """Have a statement run in the listening session; its last one has been answered."""
        backend = backends(self.dsn)[0]
        self.proxy.inject(sql)
        await wait_for(
            f"{sql} to be run",
            lambda: execute(
                self.dsn,
                "select 1 from pg_stat_activity where pid = %s and query = %s and state = 'idle'",
                (backend, sql),
            ),
        )

    async def test_unlisten(self) -> None:
        """UNLISTEN for all: by the next probe it is made good, on the same session."""
        listener, audience = await self.listening(self.place, **OPTIONS)
        backend = backends(self.dsn)[0]
        await self.given("unlisten *")
        ring(self.dsn, "jobs", "in the gap")
        await wait_for("LISTEN", lambda: len(audience.listens) > 1, 2 * ROUND)
        self.assertEqual(audience.listens[1], (frozenset({"jobs"}), False))
        await self.hears(listener, audience, self.dsn)
        self.assertEqual(audience.states, [State.CONNECTING, State.LISTENING])
        self.assertEqual(backends(self.dsn)[0], backend)
        [text] = self.logged_texts()
        self.assertIn("something undid LISTEN in its session", text)
        self.assertIn("it is committed again for 'jobs'", text)

    async def test_discard(self) -> None:
        """DISCARD ALL, what a pooler does between two clients: the same, and settings are back."""
        listener, audience = await self.listening(self.place, **OPTIONS)
        await self.given("discard all")
        await wait_for("LISTEN", lambda: len(audience.listens) > 1, 2 * ROUND)
        await self.hears(listener, audience, self.dsn)
        await in_time("a probe", listener.probe())
        show = "select pg_notify('jobs', current_setting('idle_in_transaction_session_timeout'))"
        await self.given(show)
        await wait_for("the setting", lambda: audience.heard[-1][1] == "1min")

    async def test_some(self) -> None:
        """Only what was undone is made good; the others have missed nothing."""
        _, audience = await self.listening(self.place, "jobs", "mail", **OPTIONS)
        await self.given("unlisten mail")
        await wait_for("LISTEN", lambda: len(audience.listens) > 1, 2 * ROUND)
        self.assertEqual(audience.listens[1], (frozenset({"mail"}), False))

    async def test_missed_ring(self) -> None:
        """A ring that was sent in the gap is followed by a run within one round of probes."""
        began: list[float] = []
        now = self.reactor().seconds
        bell = self.doorbell(self.place, lambda: began.append(now()), **OPTIONS)
        await self.runs(bell, began, self.dsn)
        await in_time("a probe", bell.listener.probe())
        await self.given("unlisten *")
        before = len(began)
        execute(self.dsn, "notify jobs")
        await wait_for("the run", lambda: len(began) > before, 2 * ROUND)
        await self.runs(bell, began, self.dsn)
