"""What tests of tables need: a database of their own, and sources that hear of tables in it."""

from __future__ import annotations

from itertools import count
from typing import Any

from twisted.trial.unittest import TestCase

from tests.audience import RecordingAudience
from tests.logs import LogMixin
from tests.servers import execute
from tests.waiting import in_time, wait_for
from tests.walservers import drop_database, shared_logical_server
from txdoorbell.listening.backoff import backoff_policy
from txdoorbell.notification import State
from txdoorbell.wal import WalSource


class WalTestCase(LogMixin, TestCase):
    """Tests on a database of their own, at a server that they share."""

    numbers = count()

    def setUp(self) -> None:
        """Make the database."""
        self.capture_logs()
        self.admin = shared_logical_server().dsn
        self.database = f"tables{next(self.numbers)}"
        self.dsn = f"{self.admin} dbname={self.database}"
        execute(self.admin, f"create database {self.database}")
        self.addCleanup(drop_database, self.admin, self.database)
        self.sql("create table jobs (id serial primary key, what text)")

    def sql(self, statement: str, *more: str) -> Any:
        """Run statements one by one, as somebody who knows nothing of us; the last one's rows."""
        return [execute(self.dsn, each) for each in (statement, *more)][-1]

    def started(self, *tables: str, **options: Any) -> tuple[WalSource, RecordingAudience]:
        """Return a source that is started, and its audience."""
        from twisted.internet import reactor

        quick = {"backoff": backoff_policy(0.02, 0.1), "query_timeout": 2.0, **options}
        dsn = quick.pop("dsn", self.dsn)
        source, audience = WalSource(reactor, dsn, tables=tables, **quick), RecordingAudience()
        source.report_to(audience)
        source.startService()
        self.addCleanup(self.stop, source)
        return source, audience

    async def stop(self, source: WalSource) -> None:
        """Stop a source, which must not take long."""
        await in_time("the stop", source.stopService(), 1.0)

    async def listening(self, *tables: str, **options: Any) -> tuple[WalSource, RecordingAudience]:
        """Return a source that hears of these tables, and its audience."""
        source, audience = self.started(*tables, **options)
        await in_time("the log to be read", source.when_listening())
        return source, audience

    async def hears(self, audience: RecordingAudience, *expected: tuple[str, str]) -> None:
        """Wait until so much is heard, and fail unless it is this."""
        await wait_for(f"{expected}", lambda: len(audience.heard) >= len(expected))
        self.assertEqual([(table, what) for table, what, _ in audience.heard], [*expected])
        audience.heard.clear()

    async def refused(self, *tables: str, **options: Any) -> str:
        """Return why a source can't read of these tables."""
        source, _ = self.started(*tables, **options)
        await wait_for("the refusal", lambda: source.state is State.WAITING)
        return source.reason
