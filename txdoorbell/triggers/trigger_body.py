"""What a trigger function does: it looks at the rows of a statement, and rings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from txdoorbell.notification import PAYLOAD_LIMIT
from txdoorbell.triggers.names import TableName, dollar_quoted, literal

__all__ = ["EVENTS", "Payload", "TriggerBody"]

EVENTS = ("insert", "update", "delete", "truncate")
"""The statements that can ring. PostgreSQL has no other triggers for tables."""


class Payload(StrEnum):
    """What a ring carries."""

    NONE = "none"
    """Nothing: what is to be done is in the table."""
    KEY = "key"
    """The primary keys of the rows, as a JSON list; nothing where that would be too long."""
    OPERATION = "operation"
    """A JSON object with ``schema``, ``table`` and ``op``."""


@dataclass(frozen=True)
class TriggerBody:
    """
    A function that serves all triggers of a table.

    :ivar channel: checked already.
    :ivar events: those that call it.
    :ivar condition: on the rows, in SQL; empty for none.
    :ivar limit: of the keys in a payload.
    """

    channel: str
    events: tuple[str, ...]
    condition: str
    payload: Payload
    limit: int

    def tables(self, event: str) -> tuple[str, ...]:
        """Return the transition tables that an event needs, first that of the rows looked at."""
        if event == "update" and "old_rows" in self.condition.lower():
            return ("new_rows", "old_rows")
        return {"delete": ("old_rows",), "truncate": ()}.get(event, ("new_rows",))

    def settings(self) -> str:
        """Return its search path: one that the writers to the table can't choose."""
        return "set search_path from current" if self.condition else "set search_path = pg_catalog"

    def text(self) -> str:
        """Return its body."""
        keys = self.payload is Payload.KEY
        pieces = [
            "#variable_conflict use_column\ndeclare",
            "    rings boolean := true;\n    message text := '';",
            "    key text;\n    keys jsonb;" if keys else "",
            "begin",
            _KEY if keys else "",
            self._looks(),
            _KEYS.format(limit=self.limit, most=PAYLOAD_LIMIT) if keys else "",
            _OPERATION if self.payload is Payload.OPERATION else "",
            _RING.format(channel=literal(self.channel)),
        ]
        return "\n" + "\n".join(filter(None, pieces))

    def check(self, table: TableName) -> str:
        """Return a body that fails where this one would fail whoever writes to the table."""
        tries = (self._try_out(table, event) for event in self.events if self.condition)
        pieces = [
            "#variable_conflict use_column\nbegin",
            f"    perform from {table} limit 0;",
            *tries,
            _HAS_KEY.format(name=literal(str(table))) if self.payload is Payload.KEY else "",
            "end\n",
        ]
        return "\n" + "\n".join(filter(None, pieces))

    def _looks(self) -> str:
        looked_at = [event for event in self.events if self.tables(event)]
        looks = [
            f"if tg_op = '{event.upper()}' then\n{self._look(self.tables(event)[0])}\n"
            for event in looked_at
        ]
        return f"    {'    els'.join(looks)}    end if;" if looks else ""

    def _look(self, rows: str) -> str:
        if self.payload is not Payload.KEY:
            return f"        rings := exists (select from {rows}{self._where()});"
        before = "select pg_catalog.jsonb_agg(picked.key) from (select "
        # One more than the limit tells that there are more.
        after = f" as key from {rows}{self._where()} limit {self.limit + 1}) as picked"
        return (
            f"        execute {dollar_quoted(before, 'rows')} || key\n"
            f"            || {dollar_quoted(after, 'rows')} into keys;\n"
            "        rings := keys is not null;"
        )

    def _try_out(self, table: TableName, event: str) -> str:
        """Return a query with an event's condition that reads no row: it is only understood."""
        tables = self.tables(event)
        if not tables:
            return ""
        stand_ins = ",\n".join(f"        {name} as (select * from {table})" for name in tables)
        return (
            f"    perform from (with\n{stand_ins}\n"
            f"        select from {tables[0]}{self._where()} limit 0) as understood;"
        )

    def _where(self) -> str:
        # On a line of its own: it may end in a comment.
        return f" where (\n            {self.condition}\n        )" if self.condition else ""


_KEY = """\
    -- A key of one column is its value, one of several columns an object.
    select case
            when pg_catalog.count(*) = 1
            then pg_catalog.format('pg_catalog.to_jsonb(%I)', pg_catalog.min(a.attname::text))
            else pg_catalog.format('pg_catalog.jsonb_build_object(%s)', pg_catalog.string_agg(
                pg_catalog.format('%L, %I', a.attname, a.attname), ', ' order by k.number))
        end
        into key
        from pg_catalog.pg_constraint as c
        cross join pg_catalog.unnest(c.conkey) with ordinality as k (attnum, number)
        join pg_catalog.pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.attnum
        where c.conrelid = tg_relid and c.contype = 'p';"""

_KEYS = """\
    if pg_catalog.jsonb_array_length(keys) <= {limit}
            and pg_catalog.octet_length(keys::text) <= {most} then
        message := keys::text;
    end if;"""

_OPERATION = """\
    message := pg_catalog.jsonb_build_object(
        'schema', tg_table_schema, 'table', tg_table_name, 'op', pg_catalog.lower(tg_op))::text;"""

_RING = """\
    if rings then
        perform pg_catalog.pg_notify({channel}, message);
    end if;
    return null;
end
"""

_HAS_KEY = """\
    if not exists (select from pg_catalog.pg_constraint
            where conrelid = {name}::pg_catalog.regclass and contype = 'p') then
        raise exception 'table % has no primary key', {name};
    end if;"""
