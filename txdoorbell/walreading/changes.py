"""
What the write-ahead log says: a table was changed, or somebody rang a channel by a message.

Tables and channels have names of one kind, text, and may be called alike. So a table is asked for
as a :class:`Table`, which equals no channel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from txdoorbell.notification import Source
from txdoorbell.triggers.names import parse_table, qualified

__all__ = [
    "OPERATIONS",
    "PREFIX",
    "Table",
    "TableChange",
    "TableSource",
    "check_tables",
    "shown",
    "tables_in",
]

OPERATIONS = ("insert", "update", "delete", "truncate")
"""What can be done to a table, as :attr:`TableChange.operation` says it."""

PREFIX = "txdoorbell:"
"""Before a channel's name, this is the prefix of a message that rings the channel:
``select pg_logical_emit_message(true, 'txdoorbell:jobs', 'payload')``."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


class Table(str):
    """
    A table that is asked for, by its name as SQL would read it: ``jobs``, ``"My Shop"."Job"``.

    As a str it is that name, quoted where it must be, with the schema if that was given; without
    one it is whichever table the search path leads to. It equals another :class:`Table` of that
    name, and nothing else: no channel of that name.

    :raises TypeError: for a name that is no str.
    :raises ValueError: for text that is no name, or one that PostgreSQL would cut.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Table:
        """Read the name; see the class."""
        return str.__new__(cls, shown(*parse_table(text)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Table, str.__hash__(self)))

    def __repr__(self) -> str:
        return f"table {self}"


class TableChange(NamedTuple):
    """
    One table was changed in one way: any number of rows, by one transaction or several.

    Those of several are told as one when others come to see them at the same time.

    It is heard like a notification: :attr:`channel` is the table, :attr:`payload` the operation.

    :ivar table: with its schema: ``public.jobs``; quoted where SQL would have to.
    :ivar operation: one of :data:`OPERATIONS`.
    :ivar asked_as: by which names the table was asked for.
    """

    table: str
    operation: str
    asked_as: frozenset[Table] = frozenset()

    @property
    def channel(self) -> str:
        """The table: :attr:`table`."""
        return self.table

    @property
    def payload(self) -> str:
        """What was done to it: :attr:`operation`."""
        return self.operation

    @property
    def pid(self) -> int:
        """Always 0: the log doesn't say whose session it was."""
        return 0

    @property
    def data(self) -> str:
        """The same as :attr:`payload`."""
        return self.operation


class TableSource(Source, Protocol):
    """A source that hears of tables as well."""

    def set_tables(self, tables: str | Iterable[str]) -> None:
        """
        Want the changes of these tables and no others, on the live session.

        :raises TypeError: for a name that is no str.
        :raises ValueError: for text that is no name; then nothing is changed.
        """


def shown(schema: str | None, name: str) -> str:
    """Return a name, with its schema if that is known, quoted only where SQL asks for it."""
    parts = [part for part in (schema, name) if part is not None]
    return ".".join(p if _PLAIN.fullmatch(p) else qualified(None, p) for p in parts)


def check_tables(names: str | Iterable[str]) -> frozenset[Table]:
    """
    Return tables by their names.

    :param names: one str, which is one name, or several.
    :raises TypeError: for a name that is no str.
    :raises ValueError: for text that is no name, or one that PostgreSQL would cut.
    """
    if isinstance(names, str | bytes | bytearray):
        names = (names,)
    return frozenset(map(Table, names))


def tables_in(wanted: Iterable[str]) -> frozenset[Table]:
    """Return the tables among channels and tables."""
    return frozenset(name for name in wanted if isinstance(name, Table))
