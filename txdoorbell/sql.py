"""
The sender's side: SQL by which a table rings.

A trigger for each statement, not for each row: an insert of 100,000 rows is one ring. It has a
look at the rows that the statement has changed, and does not ring when there are none: a function
that looks for work by an ``UPDATE`` would otherwise ring itself for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from txdoorbell.notification import check_channel, quote_identifier
from txdoorbell.triggers.names import TableName, dollar_quoted, parse_schema, parse_table, qualified
from txdoorbell.triggers.trigger_body import EVENTS, Payload, TriggerBody

__all__ = ["EVENTS", "Payload", "check_events", "remove_sql", "trigger_sql"]


def trigger_sql(
    table: str,
    channel: str,
    *,
    on: str | Iterable[str] = EVENTS,
    when: str | None = None,
    payload: str = "none",
    schema: str | None = None,
    limit: int = 100,
) -> str:
    """
    Return SQL that makes a table ring a channel: one function, and a trigger for each event.

    Run it in one transaction; it may be run again, also with other options. It is checked before
    anything is made: a table that isn't there, a condition that can't be and a missing primary key
    fail here, and not later those who write to the table.

    Each statement that changes rows rings once. Within one transaction PostgreSQL itself merges
    rings that have the same channel and payload. Listeners hear it when the transaction commits.

    :param table: read as in SQL: ``job``, ``shop.job``, ``"My Shop"."Job"``.
    :param channel: its case is kept.
    :param on: one or several of :data:`EVENTS`.
    :param when: a condition on the rows changed, in SQL, such as ``state = 'ready'``. It rings when
        it holds for one of them. For ``update`` these are the new rows, and ``old_rows`` is a table
        of the old ones; for ``delete`` they are the old rows. A ``truncate`` rings always. None:
        any row will do.
    :param payload: one of :class:`Payload`.
    :param schema: the function's schema, read as in SQL; None for the table's.
    :param limit: with more keys than this, or more bytes than fit, a ring has no payload.
    :raises TypeError: for a table or channel that is no str.
    :raises ValueError: for a table, channel, event, payload or limit that can't be.
    """
    trigger = _Trigger.of(table, channel, schema)
    if limit < 1:
        raise ValueError(f"limit {limit} is no number of keys from 1")
    body = TriggerBody(channel, check_events(on), _condition(when), Payload(payload), limit)
    pieces = [f"do {dollar_quoted(body.check(trigger.table), 'check')};\n"]
    pieces.append(trigger.function_sql(body))
    pieces += [trigger.drop_sql(event) for event in EVENTS]
    pieces += [trigger.create_sql(event, body.tables(event)) for event in body.events]
    return "\n".join(pieces)


def remove_sql(table: str, channel: str, *, schema: str | None = None) -> str:
    """
    Return SQL that removes what :func:`trigger_sql` has made; nothing when nothing is there.

    :param table: as it was given there; so are the others.
    :raises TypeError: for a table or channel that is no str.
    :raises ValueError: for a table or channel that can't be.
    """
    trigger = _Trigger.of(table, channel, schema)
    drops = [trigger.drop_sql(event) for event in EVENTS]
    return "\n".join([*drops, f"drop function if exists {trigger.function}();\n"])


def check_events(names: str | Iterable[str]) -> tuple[str, ...]:
    """
    Return events, each once, in the order of :data:`EVENTS`.

    :param names: one, several with commas in between, or an iterable.
    :raises ValueError: for none, or one that isn't there.
    """
    given = names.split(",") if isinstance(names, str) else list(names)
    wanted = {name.strip().lower() for name in given}
    if unknown := sorted(wanted.difference(EVENTS)):
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(EVENTS)}")
    if not wanted:
        raise ValueError(f"no event is given: one of {', '.join(EVENTS)}")
    return tuple(event for event in EVENTS if event in wanted)


@dataclass(frozen=True)
class _Trigger:
    """
    What is made: its names, which depend on the table and the channel alone.

    :ivar function: with its schema, quoted.
    """

    table: TableName
    function: str
    channel: str

    @classmethod
    def of(cls, table: str, channel: str, schema: str | None) -> _Trigger:
        name = parse_table(table)
        check_channel(channel)
        house = name.schema if schema is None else parse_schema(schema)
        # In a schema of its own there may be functions for tables of several schemas.
        owner = name.schema if house != name.schema else None
        unique = _short("\0".join((owner or "", name.table, channel)))
        function = f"doorbell_{_slug(name.table)}_{_slug(channel)}_{unique}"
        return cls(name, qualified(house, function), channel)

    def name(self, event: str) -> str:
        """Return the trigger's name, quoted: no other trigger of the table has it."""
        return quote_identifier(f"doorbell_{_slug(self.channel)}_{_short(self.channel)}_{event}")

    def function_sql(self, body: TriggerBody) -> str:
        """Return what makes the function."""
        return (
            f"create or replace function {self.function}() returns trigger\n"
            f"language plpgsql {body.settings()} as {dollar_quoted(body.text(), 'doorbell')};\n"
        )

    def create_sql(self, event: str, tables: Iterable[str]) -> str:
        """Return what makes the trigger for an event: each with transition tables needs its own."""
        named = "".join(f" {name[:3]} table as {name}" for name in tables)
        return (
            f"create trigger {self.name(event)}\n"
            f"    after {event} on {self.table}{' referencing' * bool(named)}{named}\n"
            f"    for each statement execute function {self.function}();\n"
        )

    def drop_sql(self, event: str) -> str:
        """Return what removes the trigger for an event."""
        return f"drop trigger if exists {self.name(event)} on {self.table};"


def _condition(when: str | None) -> str:
    if when is not None and "\0" in when:
        raise ValueError("the condition has a NUL, which PostgreSQL can't take")
    return (when or "").strip()


def _slug(text: str) -> str:
    """Return a piece of a name that is easy to type, for people who look at it."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:16].rstrip("_") or "x"


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]
