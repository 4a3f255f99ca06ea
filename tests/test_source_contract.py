"""The fake listener, the real one and the reader of the log keep the same promises."""

from collections.abc import Callable
from itertools import count
from typing import Any

import psycopg2
from twisted.internet.task import Clock, deferLater

from tests import source_contract
from tests.servers import execute, shared_server
from tests.walservers import drop_database, shared_logical_server
from txdoorbell.embedded import PostgresServer
from txdoorbell.listener import Listener
from txdoorbell.notification import Source
from txdoorbell.testing import FakeListener, FakeWalSource
from txdoorbell.wal import WalSource


class FakeListenerTests(source_contract.SourceContract):
    """The fake listener, on a Clock on which nothing is left in the end."""

    def setUp(self) -> None:
        """Make the clock."""
        self.clock = Clock()
        self.listeners: list[FakeListener] = []
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def make_source(self) -> Source:
        """Return a fake listener."""
        self.listeners.append(FakeListener(self.clock))
        return self.listeners[-1]

    def send(self, channel: str, payload: str = "") -> int:
        """Deliver to every listener, as the server would."""
        for listener in self.listeners:
            listener.deliver(channel, payload, pid=42)
        return 42

    def lose(self, *sources: Source) -> None:
        """Lose the session of each that has one, and refuse others."""
        for source in sources:
            assert isinstance(source, FakeListener)
            if source.listened:
                source.lose()
            else:
                source.refuse()

    def regain(self, *sources: Source) -> None:
        """Let connecting succeed again."""
        for source in sources:
            assert isinstance(source, FakeListener)
            source.regain()

    async def eventually(self, what: str, predicate: Callable[[], object]) -> None:
        """Give the clock its turn; no time need pass."""
        self.clock.advance(0)
        self.assertTrue(predicate(), f"waited in vain for {what}")


class FakeWalSourceTests(FakeListenerTests):
    """The fake reader of the log keeps these promises as well."""

    def make_source(self) -> Source:
        """Return a fake reader of the log."""
        self.listeners.append(FakeWalSource(self.clock))
        return self.listeners[-1]


class ListenerTests(source_contract.SourceContract):
    """The real listener, on a database of a real server, which can be closed to newcomers."""

    deadline = 10.0
    numbers = count()

    def setUp(self) -> None:
        """Make the database, and connect somebody else to it."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.admin = self.server().dsn
        self.database = f"contract{next(self.numbers)}"
        self.dsn = f"{self.admin} dbname={self.database}"
        execute(self.admin, f"create database {self.database}")
        self.sender = psycopg2.connect(self.dsn)
        self.sender.autocommit = True

    def tearDown(self) -> None:
        """Drop the database: by now nobody else may be connected to it."""
        # After the cleanups, which stop the listeners.
        self.addCleanup(drop_database, self.admin, self.database)
        self.addCleanup(self.sender.close)

    def server(self) -> PostgresServer:
        """Return a server that all of these tests share."""
        return shared_server()

    def make_source(self) -> Source:
        """Return a listener that loses no time."""
        return Listener(self.reactor, self.dsn, backoff=lambda failures: 0.02)

    ring = "select pg_notify(%s, %s), pg_backend_pid()"

    def send(self, channel: str, payload: str = "") -> int:
        """Ring, from a session of our own."""
        with self.sender.cursor() as cursor:
            cursor.execute(self.ring, (channel, payload))
            [(_, pid)] = cursor.fetchall()
            return int(pid)

    def lose(self, *sources: Source) -> None:
        """Close the database to newcomers, and end all sessions there but our own."""
        execute(self.admin, f"alter database {self.database} allow_connections false")
        with self.sender.cursor() as cursor:
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )

    def regain(self, *sources: Source) -> None:
        """Open the database again."""
        execute(self.admin, f"alter database {self.database} allow_connections true")

    async def eventually(self, what: str, predicate: Callable[[], object]) -> None:
        """Let the reactor run until something holds."""
        end = self.reactor.seconds() + self.deadline
        while not predicate():
            if self.reactor.seconds() > end:
                self.fail(f"waited {self.deadline} s in vain for {what}")
            await deferLater(self.reactor, 0.005)


class WalSourceTests(ListenerTests):
    """The reader of the write-ahead log, otherwise the same: its channels are rung by messages."""

    knows_senders = False
    ring = "select pg_logical_emit_message(true, 'txdoorbell:' || %s, %s), pg_backend_pid()"

    def server(self) -> PostgresServer:
        """Return a server whose log can be decoded."""
        return shared_logical_server()

    def make_source(self) -> Source:
        """Return a source that loses no time."""
        return WalSource(self.reactor, self.dsn, backoff=lambda failures: 0.02)
