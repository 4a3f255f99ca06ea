"""
Who rings in a database: triggers and functions, by what their source says.

PostgreSQL has no list of those. ``pg_notify`` and ``NOTIFY`` are looked for in the source of all
functions, and who calls such a function rings too. A channel that is computed can't be known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["COMPUTED", "Function", "Ringer", "Trigger", "channels_in", "ringers"]

COMPUTED = ""
"""Stands for a channel that is computed: no channel has an empty name."""

_TCN = "triggered_change_notification"
_COMMENT = re.compile(r"('(?:[^']|'')*')|--[^\n]*|/\*.*?\*/", re.S)
_CALL = re.compile(
    r"\bpg_notify\s*\(\s*(?:"
    r"(?P<text>E?'(?:[^']|'')*')(?:\s*::\s*\w+)?\s*,"
    r"|tg_argv\s*\[\s*(?P<argument>\d+)\s*\](?:\s*::\s*\w+)?\s*,)?",
    re.I,
)
_STATEMENT = re.compile(
    r"(?:^|;|\b(?:begin|then|else|loop|atomic)\b|\bexecute\s+(?:pg_catalog\.)?(?:format\s*\(\s*)?')"
    r"\s*notify\b\s*(?P<name>\"(?:[^\"]|\"\")+\"|[^\W\d][\w$]*)?",
    re.I,
)


class Function(NamedTuple):
    """A function as the server keeps it; ``title`` has its schema and arguments."""

    oid: int
    title: str
    name: str
    source: str
    is_trigger: bool


class Trigger(NamedTuple):
    """A trigger as the server keeps it."""

    name: str
    table: str
    for_each_row: bool
    enabled: bool
    function: int
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Ringer:
    """
    A trigger, or a function that somebody calls, that rings.

    :ivar title: what to call it.
    :ivar function: the title of the function that does it.
    :ivar channels: sorted; :data:`COMPUTED` among them when there are such.
    :ivar trigger: None for a function.
    """

    title: str
    function: str
    channels: tuple[str, ...]
    trigger: Trigger | None = None


def ringers(functions: Iterable[Function], triggers: Iterable[Trigger]) -> list[Ringer]:
    """Return who rings, triggers first; trigger functions count by their triggers alone."""
    known = {function.oid: function for function in functions}
    ringing = _ringing(known)
    found = [
        Ringer(
            f"trigger {trigger.name} on {trigger.table}",
            known[trigger.function].title,
            _resolved(ringing[trigger.function], _given(trigger, known)),
            trigger,
        )
        for trigger in triggers
        if trigger.function in ringing
    ]
    return found + [
        Ringer(f"function {known[oid].title}", known[oid].title, _resolved(channels, ()))
        for oid, channels in ringing.items()
        if not known[oid].is_trigger
    ]


def channels_in(source: str) -> set[str | int]:
    """
    Return the channels that a source rings by itself.

    An int is the number of a trigger's argument.
    """
    if source == _TCN:
        return {0}
    code = _COMMENT.sub(lambda found: found[1] or " ", source)
    channels: set[str | int] = {_named(found["name"]) for found in _STATEMENT.finditer(code)}
    for call in _CALL.finditer(code):
        argument = call["argument"]
        channels.add(_text(call["text"]) if argument is None else int(argument))
    return channels


def _ringing(functions: Mapping[int, Function]) -> dict[int, set[str | int]]:
    """Return the channels of each function that rings, by itself or by what it calls."""
    found = {oid: channels_in(function.source) for oid, function in functions.items()}
    ringing = {oid: channels for oid, channels in found.items() if channels}
    fresh = set(ringing)
    while fresh:
        callees = {functions[oid].name.lower(): ringing[oid] for oid in fresh}
        calls = re.compile(rf"\b({'|'.join(map(re.escape, callees))})\"?\s*\(", re.I)
        fresh = set()
        for oid, function in functions.items():
            called = {name.lower() for name in calls.findall(_uncommented(function.source))}
            channels = set[str | int]().union(*(callees[name] for name in called))
            if not channels <= ringing.get(oid, set()):
                ringing[oid] = ringing.get(oid, set()) | channels
                fresh.add(oid)
    return ringing


def _uncommented(source: str) -> str:
    return _COMMENT.sub(lambda found: found[1] or " ", source)


def _given(trigger: Trigger, functions: Mapping[int, Function]) -> tuple[str, ...]:
    """Return a trigger's arguments; the extension tcn has a default for its one."""
    is_tcn = functions[trigger.function].source == _TCN
    return ("tcn",) if is_tcn and not trigger.arguments else trigger.arguments


def _resolved(channels: Iterable[str | int], arguments: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({_argument(one, arguments) for one in channels}))


def _argument(channel: str | int, arguments: tuple[str, ...]) -> str:
    if isinstance(channel, str):
        return channel
    return arguments[channel] if channel < len(arguments) else COMPUTED


def _named(name: str | None) -> str:
    if name is None:
        return COMPUTED
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _text(quoted: str | None) -> str:
    if quoted is None:
        return COMPUTED
    text = quoted[quoted.index("'") + 1 : -1].replace("''", "'")
    return text.replace("\\\\", "\\") if quoted[0] in "eE" else text
