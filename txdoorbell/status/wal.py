"""The part of the page that shows the second bell: how the write-ahead log is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.web.template import Tag, tags

from txdoorbell.notification import State
from txdoorbell.status.figures import ago, clean, clock, length, size
from txdoorbell.status.model import DoorbellStatus, WalStatus
from txdoorbell.status.pieces import badge, fact, section, two_lines

__all__ = ["wal"]

_SHOWN = 6

_WORDS = {
    State.LISTENING: "reading",
    State.DEAF: "deaf",
    State.CONNECTING: "connecting",
    State.WAITING: "not connected",
    State.STOPPED: "stopped",
}


def wal(status: DoorbellStatus) -> Iterator[Tag]:
    """Return that part; nothing where no tables are heard."""
    if status.wal is None:
        return
    bell = status.wal
    parts = [tags.dl(*_facts(bell, status.now), class_="facts")]
    if bell.state != State.LISTENING:
        parts.append(tags.p(clean(bell.reason, 500), class_="sick"))
    yield section("wal", "Write-ahead log", *parts)


def _facts(bell: WalStatus, now: float) -> Iterator[Tag]:
    heard = "not yet" if bell.probe_latency is None else length(bell.probe_latency)
    yield fact("State", badge(_WORDS.get(State(bell.state), bell.state)))
    since = ("–", "") if bell.since is None else (clock(bell.since), ago(bell.since, now))
    yield fact("Since", two_lines(*since))
    yield fact("Tables", _listed([clean(name, 40) for name in bell.tables]) or "none")
    changes = [f"{clean(name, 40)} {count}" for name, count in bell.rung.items()]
    yield fact("Changes heard", _listed(changes) or "none yet")
    yield fact("Last probe heard in", heard)
    yield fact("Kept for us by the server", size(bell.retained_bytes))


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
