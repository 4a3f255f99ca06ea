"""
Looking at a database: who rings too often, for nobody, or not at all.

PostgreSQL tells each session its own channels only (``pg_listening_channels()``). What others
listen to can't be seen, nor found out by a ring, which nobody confirms. So the two warnings that
depend on it are given for the channels that the caller says are listened to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from txdoorbell.triggers.ringers import COMPUTED, Function, Ringer, Trigger, ringers

if TYPE_CHECKING:
    from txdoorbell.listening.session import Session

__all__ = ["Report", "judge", "look"]

_FUNCTIONS = """
    select p.oid::bigint, p.oid::regprocedure::text, p.proname::text,
           case when p.prosrc = '' then pg_get_functiondef(p.oid) else p.prosrc end,
           p.prorettype = 'trigger'::regtype
      from pg_proc as p
     where p.prokind in ('f', 'p')
       and p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
     order by 2
"""
_TRIGGERS = """
    select t.tgname::text, t.tgrelid::regclass::text, (t.tgtype & 1) = 1, t.tgenabled in ('O', 'A'),
           t.tgfoid::bigint, t.tgargs
      from pg_trigger as t
     where not t.tgisinternal and t.tgparentid = 0
     order by 2, 1
"""

_LOCK = (
    "each transaction that rings takes, at its commit, a lock that is global to the server:"
    " they commit one after the other (measured with 32 clients: 3,600 commits/s instead of"
    " 9,350, that is 0.39 times)"
)
_UNSEEN = (
    "what is listened to was not given by --channel or --config, and PostgreSQL shows no session"
    " what others listen to: who rings for nobody, and who waits for nothing, was not looked for"
)


class Report:
    """
    What was found, each in one line.

    :ivar warnings: what should be changed, and what it costs until then.
    :ivar notes: what else should be known.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []


async def look(session: Session, listened: Sequence[str]) -> Report:
    """
    Look at the database of a session.

    :param listened: the channels that are listened to; empty when that isn't known.
    """
    functions = await session.query(_FUNCTIONS, within=30)
    triggers = await session.query(_TRIGGERS, within=30)
    return judge(
        ringers(
            (Function(*row) for row in functions),
            (Trigger._make((*row[:-1], _arguments(bytes(row[-1])))) for row in triggers),
        ),
        listened,
    )


def judge(found: Iterable[Ringer], listened: Sequence[str]) -> Report:
    """Return what is to be said of those who ring."""
    rings = list(found)
    report = Report()
    report.warnings += _row_by_row(rings)
    report.warnings += _disabled(rings)
    if listened:
        report.warnings += _unheard(rings, listened)
        report.warnings += _unrung(rings, listened)
    else:
        report.notes.append(_UNSEEN)
    report.notes += [
        f"{ringer.title} computes a channel ({ringer.function}): which one, its source does not say"
        for ringer in rings
        if COMPUTED in ringer.channels
    ]
    if rings:
        report.notes.append(_LOCK)
    return report


def _row_by_row(rings: Iterable[Ringer]) -> Iterator[str]:
    for ringer in rings:
        if ringer.trigger is not None and ringer.trigger.for_each_row:
            channel = ringer.channels[0] or "CHANNEL"
            yield (
                f"{ringer.title} rings for each row ({_listed(ringer.channels)}): an insert of"
                f" 100,000 rows calls {ringer.function} 100,000 times, and with payloads that"
                " differ each listener is sent 100,000 notifications; one ring for a statement:"
                f" txdoorbell sql {_shell(ringer.trigger.table)} --channel {_shell(channel)}"
            )


def _disabled(rings: Iterable[Ringer]) -> Iterator[str]:
    for ringer in rings:
        if ringer.trigger is not None and not ringer.trigger.enabled:
            yield (
                f"{ringer.title} is disabled, or fires in a replica alone: it rings nothing"
                f" ({_listed(ringer.channels)}), and its listeners wait for their safety net"
            )


def _unheard(rings: Iterable[Ringer], listened: Sequence[str]) -> Iterator[str]:
    for ringer in rings:
        unheard = [name for name in ringer.channels if name not in (COMPUTED, *listened)]
        if unheard:
            yield (
                f"{ringer.title} rings {_listed(unheard)}, to which nobody listens, by what"
                " was given: the lock at commit is taken for nothing"
            )


def _unrung(rings: Iterable[Ringer], listened: Sequence[str]) -> Iterator[str]:
    rung = {
        name
        for ringer in rings
        for name in ringer.channels
        if ringer.trigger is None or ringer.trigger.enabled
    }
    unless = " and unless a computed one is this one" if COMPUTED in rung else ""
    for name in dict.fromkeys(listened):
        if name not in rung:
            yield (
                f"{name!r} is listened to, but no trigger and no function of this database rings"
                f" it: unless applications do so themselves{unless}, each change waits for the"
                " safety net (60 s by default)"
            )


def _listed(channels: Iterable[str]) -> str:
    return ", ".join(repr(name) if name else "a computed channel" for name in channels)


def _arguments(stored: bytes) -> tuple[str, ...]:
    return tuple(part.decode(errors="replace") for part in stored.split(b"\0")[:-1])


def _shell(word: str) -> str:
    from shlex import quote

    return quote(word)
