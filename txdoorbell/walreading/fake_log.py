"""A source that hears of tables, with no server behind it, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from txdoorbell.fakes import FakeListener
from txdoorbell.notification import check_channels
from txdoorbell.walreading.changes import (
    OPERATIONS,
    Table,
    TableChange,
    check_tables,
    tables_in,
)

__all__ = ["FakeWalSource"]


class FakeWalSource(FakeListener):
    """
    A source with no server behind it: the test says which table is changed, and when it is lost.

    Give it to ``Doorbell(clock, listener=FakeListener(clock), wal=FakeWalSource(clock))``. It is a
    :class:`FakeListener` that hears of tables as well; all tables are there.
    """

    def __init__(self, reactor: Any, **options: Any) -> None:
        super().__init__(reactor, **options)
        self._tables: frozenset[Table] = frozenset()
        self._channels: frozenset[str] = frozenset()

    @property
    def tables(self) -> frozenset[Table]:
        """The tables that are wanted."""
        return self._tables

    def set_channels(self, channels: Iterable[str]) -> None:
        """
        Want messages to these channels and no others; from the next turn.

        :raises TypeError: for a name that is no str, and for a str in place of several names.
        :raises ValueError: for a name that PostgreSQL would not take whole; nothing is changed.
        """
        if isinstance(channels, str):
            raise TypeError(f"channels must be several names, not the str {channels!r}")
        self._channels = frozenset(check_channels(channels))
        self._want(self._channels | self._tables)

    def set_tables(self, tables: str | Iterable[str]) -> None:
        """
        Want the changes of these tables and no others; from the next turn.

        :raises TypeError: for a name that is no str.
        :raises ValueError: for text that is no name; nothing is changed.
        """
        self._tables = check_tables(tables)
        self._want(self._channels | self._tables)

    def change(self, table: str, operation: str = "insert") -> bool:
        """
        Change a table, as somebody else's transaction would: it is heard of at once, or never.

        :param table: with its schema: ``public.jobs``. Who asks for ``jobs`` means this one.
        :returns: whether it was heard of: the session is up, and the table wanted.
        :raises ValueError: for text that is no name, or another operation than there are.
        """
        if operation not in OPERATIONS:
            raise ValueError(f"operation {operation!r} is none of {', '.join(OPERATIONS)}")
        full = Table(table)
        names = {full, Table(full.rpartition(".")[2])}
        asked_as = frozenset(name for name in tables_in(self.listened) if name in names)
        if asked_as:
            self._audience.notified(TableChange(str(full), operation, asked_as))
        return bool(asked_as)
