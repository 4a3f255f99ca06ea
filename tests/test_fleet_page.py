"""The page about fleets: the write that a stale holder can't make is not made."""

from __future__ import annotations

import re
from contextlib import closing
from textwrap import dedent
from types import ModuleType
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn
from twisted.trial.unittest import SynchronousTestCase

from tests.pages import ROOT, blocks
from tests.servers import execute, shared_server
from txdoorbell.fleet.keys import LOCK_CLASS, STANDBY_CLASS

PAGE = ROOT / "docs" / "fleet.rst"
SQL = re.compile(r"^\.\. code-block:: postgresql\n\n((?:   .*\n|\n)+)", re.M)


class Lease:
    """What the page's function sees of a lease."""

    name = "billing"

    def __init__(self, number: int) -> None:
        self._number = number

    def __int__(self) -> int:
        return self._number


class KeyTests(SynchronousTestCase):
    """What other programs of a database have to keep clear of."""

    skip = None if PAGE.is_file() else "the documentation is not installed"

    def test_classes(self) -> None:
        """The page names both integers by which our locks can be told from those of others."""
        text = PAGE.read_text(encoding="utf-8")
        for number in (LOCK_CLASS, STANDBY_CLASS):
            self.assertIn(f" {number} for ", text.replace("\n", " "))


class FenceTests(SynchronousTestCase):
    """The page's tables and its module, in a database of their own."""

    skip = None if PAGE.is_file() else "the documentation is not installed"

    def setUp(self) -> None:
        """Do what the page says."""
        server = shared_server().dsn
        execute(server, "create database fence")
        self.addCleanup(execute, server, "drop database fence with (force)")
        self.dsn = make_dsn(server, dbname="fence")
        self.bills: Any = ModuleType("bills")
        for sql in SQL.findall(PAGE.read_text(encoding="utf-8")):
            execute(self.dsn, dedent(sql))
        (module,) = (block for block in blocks(PAGE) if block.module == "bills")
        module.run(self.bills.__dict__)

    def connect(self) -> Any:
        """Return a holder's own connection, which begins a transaction with each statement."""
        connection = psycopg2.connect(self.dsn)
        self.addCleanup(connection.close)
        return connection

    def write(self, lease: int, customer: str) -> None:
        """Write a bill by a lease, in a transaction of its own."""
        with closing(psycopg2.connect(self.dsn)) as connection, connection:
            self.bills.write_bill(connection.cursor(), Lease(lease), customer, 100)

    def written(self) -> list[str]:
        """Return who was billed."""
        return [name for (name,) in execute(self.dsn, "select customer from bill order by 1")]

    def test_stale(self) -> None:
        """Once the next holder has written, the last one can't."""
        self.write(7, "anna")
        self.write(7, "berta")
        self.write(8, "carla")
        self.assertRaises(self.bills.Stale, self.write, 7, "dora")
        self.write(8, "emma")
        self.assertEqual(self.written(), ["anna", "berta", "carla", "emma"])

    def test_in_between(self) -> None:
        """A write that has begun is waited for; it is not torn by the next holder's first one."""
        old, new = self.connect(), self.connect()
        self.bills.write_bill(old.cursor(), Lease(7), "anna", 100)
        with new.cursor() as cursor:
            cursor.execute("set lock_timeout = '50ms'")
            with self.assertRaises(psycopg2.errors.LockNotAvailable):
                self.bills.write_bill(cursor, Lease(8), "berta", 100)
        new.rollback()
        old.commit()
        self.write(8, "berta")
        self.assertEqual(self.written(), ["anna", "berta"])
