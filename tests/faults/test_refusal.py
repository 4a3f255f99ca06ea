"""Servers that refuse, or say nothing: it is tried for ever, logged once, and a stop is prompt."""

from __future__ import annotations

import os
import signal
import socket

from tests.faults.case import PATIENT, FaultTestCase, address, backends, through
from tests.proxy import Proxy
from tests.servers import execute
from tests.waiting import in_time, wait_for
from txdoorbell.notification import State


class RefusalTests(FaultTestCase):
    """Connections that don't come about."""

    def setUp(self) -> None:
        """Have a server, but for those that don't use it."""
        self.dsn = self.shared_server().dsn
        super().setUp()

    def refusals(self) -> list[str]:
        """Return the lines in the log that say that it is waiting."""
        return [text for text in self.logged_texts() if "is waiting" in text]

    async def test_mute_port(self) -> None:
        """A port that accepts and says nothing is given up after the deadline, again and again."""
        mute = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(mute.close)
        dsn = through(self.dsn, mute.getsockname()[1])
        listener, audience = self.started(dsn, connect_timeout=0.2)
        await wait_for("three attempts", lambda: len(self.losses(audience)) >= 3)
        self.assertEqual(set(self.losses(audience)), {"not connected within 0.2 s"})
        self.assertEqual(len(self.refusals()), 1)
        self.assertNotEqual(listener.state, State.LISTENING)

    async def test_mute_first(self) -> None:
        """The first of two servers says nothing: the second is reached by the second attempt."""
        mute = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(mute.close)
        port = address(self.dsn)[1]
        dsn = f"{self.dsn} host=127.0.0.1,127.0.0.1 port={mute.getsockname()[1]},{port}"
        listener, audience = self.started(dsn, connect_timeout=0.3)
        await self.hears(listener, audience, self.dsn)
        self.assertEqual(self.losses(audience), ["not connected within 0.3 s"])
        await in_time("a probe", listener.probe())

    async def test_refused_first(self) -> None:
        """The first of two servers refuses: the second is reached by the first attempt."""
        dsn = f"{self.dsn} host=localhost,localhost port=1,{address(self.dsn)[1]}"
        listener, audience = await self.listening(dsn)
        await self.hears(listener, audience, self.dsn)
        self.assertEqual(self.losses(audience), [])

    async def test_unknown_database(self) -> None:
        """A database that isn't there is waited for, with the server's words in the log."""
        name = f"late{next(self.names)}"
        listener, audience = self.started(f"{self.dsn} dbname={name}")
        await wait_for("two attempts", lambda: len(self.losses(audience)) > 1)
        self.assertIn(f'database "{name}" does not exist', self.refusals()[0])
        self.assertEqual(len(self.refusals()), 1)
        execute(self.dsn, f"create database {name}")
        self.addCleanup(self.drop_database, self.dsn, name)
        await self.hears(listener, audience, f"{self.dsn} dbname={name}")

    async def test_unknown_host(self) -> None:
        """A name that has no address is one line in the log, and is looked up again."""
        # Nobody needs to be asked for this one.
        name = "x" * 64
        _, audience = self.started(f"{self.dsn} host={name}")
        await wait_for("two attempts", lambda: len(self.losses(audience)) > 1)
        self.assertIn(f"{name}: ", self.refusals()[0])
        self.assertEqual(len(self.refusals()), 1)

    async def test_changed_text(self) -> None:
        """When the cause of the refusal changes, that is a further line."""
        proxy = Proxy(self, address(self.dsn))
        dsn = through(f"{self.dsn} dbname=nowhere", proxy.port)
        _, audience = self.started(dsn)
        await wait_for("two attempts", lambda: len(self.losses(audience)) > 1)
        await proxy.refuse()
        proxy.reset()
        await wait_for("another cause", lambda: "refused" in self.losses(audience)[-1])
        self.assertIn("nowhere", self.refusals()[0])
        self.assertIn("refused", self.refusals()[-1])
        self.assertLessEqual(len(self.refusals()), 3)

    async def test_standby(self) -> None:
        """A hot standby refuses LISTEN, so the connection has failed; promoted, it is heard."""
        server = self.standby_server()
        listener, audience = self.started(server.dsn)
        await wait_for("two attempts", lambda: len(self.losses(audience)) > 1)
        self.assertIn(self.in_recovery, self.losses(audience)[0])
        self.assertNotIn(State.LISTENING, audience.states)
        execute(server.dsn, "select pg_promote()")
        await self.hears(listener, audience, server.dsn)

    async def test_connection_limit(self) -> None:
        """A role with one connection listens, but can't be probed: deaf, on the same session."""
        role = f"lonely{next(self.names)}"
        execute(self.dsn, f"create role {role} login connection limit 1")
        self.addCleanup(execute, self.dsn, f"drop role {role}")
        listener, audience = self.started(f"{self.dsn} user={role}", **PATIENT)
        await in_time("LISTEN", listener.when_listening())
        await wait_for("the doubt", lambda: listener.state is State.DEAF)
        self.assertIn("could not be sent", listener.reason)
        self.assertIn("too many connections", listener.reason)
        pids = backends(self.dsn)
        execute(self.dsn, f"alter role {role} connection limit 2")
        await self.healthy(listener)
        await self.hears(listener, audience, self.dsn)
        self.assertIn(pids[0], backends(self.dsn))
        self.assertEqual(len(audience.listens), 1)


class PasswordTests(FaultTestCase):
    """A server that asks for a password."""

    def setUp(self) -> None:
        """Have it."""
        self.server = self.private_server()
        execute(self.server.dsn, "create role guest login password 'open sesame'")
        rules = "host all guest all scram-sha-256\nhost all all all trust\n"
        (self.server.data / "pg_hba.conf").write_text(rules)
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGHUP)
        super().setUp()

    async def test_wrong_password(self) -> None:
        """A wrong password is one line, without it, and tried again: it may be set meanwhile."""
        dsn = f"{self.server.dsn} user=guest password='open barley'"
        listener, audience = self.started(dsn)
        await wait_for("two attempts", lambda: len(self.losses(audience)) > 1)
        self.assertIn('password authentication failed for user "guest"', listener.reason)
        execute(self.server.dsn, "alter role guest password 'open barley'")
        await self.hears(listener, audience, self.server.dsn)
        self.assertEqual(len([text for text in self.logged_texts() if "is waiting" in text]), 1)
        self.assertNotIn("barley", "".join(self.logged_texts()))
