"""Names and texts in SQL: read as PostgreSQL reads them, and written so that it can't misread."""

from __future__ import annotations

import re
from typing import NamedTuple

from txdoorbell.notification import CHANNEL_LIMIT, quote_identifier

__all__ = ["TableName", "dollar_quoted", "literal", "parse_schema", "parse_table", "qualified"]

_PART = r'"(?:[^"]|"")+"|[^\W\d][\w$]*'
_TABLE = re.compile(rf"(?:({_PART})\s*\.\s*)?({_PART})")
_LOWER = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}


class TableName(NamedTuple):
    """
    A table's name, as PostgreSQL stores it.

    :ivar schema: None for whichever the search path leads to.
    """

    schema: str | None
    table: str

    def __str__(self) -> str:
        return qualified(self.schema, self.table)


def qualified(schema: str | None, name: str) -> str:
    """Return a name with its schema, if that is known, quoted for SQL."""
    return ".".join(quote_identifier(part) for part in (schema, name) if part is not None)


def parse_table(text: str) -> TableName:
    """
    Read a table's name as SQL does: what isn't in double quotes is folded to lower case.

    :param text: ``job``, ``shop.job``, ``"My Shop"."Job"``.
    :raises TypeError: when it is no str.
    :raises ValueError: when it is no name, or one that PostgreSQL would cut.
    """
    if not isinstance(text, str):
        raise TypeError(f"table {text!r} must be a str, not {type(text).__name__}")
    found = _TABLE.fullmatch(text.strip())
    if found is None or "\0" in text:
        raise ValueError(
            f"table {text[:140]!r} is no name: NAME or SCHEMA.NAME;"
            ' one with other characters than letters, digits and _ is put in quotes: "my table"'
        )
    schema, table = found.groups()
    return TableName(None if schema is None else _parse_name(schema), _parse_name(table))


def parse_schema(text: str) -> str:
    """
    Read a schema's name, as :func:`parse_table` does.

    :raises ValueError: when it is no name, or one that PostgreSQL would cut.
    """
    schema, name = parse_table(text)
    if schema is not None:
        raise ValueError(f"schema {text[:140]!r} is no name: it has a dot")
    return name


def _parse_name(text: str) -> str:
    if text.startswith('"'):
        name = text[1:-1].replace('""', '"')
    else:
        name = text.translate(_LOWER)
    size = len(name.encode(errors="replace"))
    if size > CHANNEL_LIMIT:
        raise ValueError(f"name {name[:80]!r} has {size} bytes of UTF-8: over {CHANNEL_LIMIT}")
    return name


def literal(text: str) -> str:
    """Return a text as a literal, whichever way the server takes backslashes."""
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in text else f"'{quoted}'"


def dollar_quoted(text: str, tag: str) -> str:
    """Return a text between dollar quotes that it does not have itself."""
    free, number = tag, 1
    while f"${free}" in text:
        number += 1
        free = f"{tag}{number}"
    return f"${free}${text}${free}$"
