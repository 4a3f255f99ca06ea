"""The part of the page that shows a fleet: who runs which of the loops that have a lock."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.web.template import Tag, tags

from txdoorbell.status.figures import ago, clean, clock
from txdoorbell.status.model import DoorbellStatus, LockStatus, LoopStatus
from txdoorbell.status.pieces import badge, cell, section, table, two_lines, wrapped

__all__ = ["fleet", "holder_of", "is_elsewhere"]

_NAMES = ["Loop", "Here", "Held by", "Since", "Lease", "Standing by"]


def fleet(status: DoorbellStatus) -> Iterator[Tag]:
    """Return that part; nothing where no loop has a lock."""
    rows = [row for loop in status.loops for row in _loop(loop, status.now)]
    if rows:
        yield section("fleet", "Fleet", table(_NAMES, rows))


def is_elsewhere(loop: LoopStatus) -> bool:
    """Say whether a loop rests here, because this process does not hold its lock."""
    return loop.lock is not None and loop.lock.state != "holding"


def holder_of(lock: LockStatus) -> str:
    """Return who holds a lock, in words; empty when that isn't known."""
    if lock.state == "holding":
        return "this process"
    return lock.holder_host or ("" if lock.holder_pid is None else "another session")


def _loop(loop: LoopStatus, now: float) -> Iterator[Tag]:
    lock = loop.lock
    if lock is None:
        return
    key = clean(f"lock {loop.name}")
    since = ("–", "") if lock.since is None else (ago(lock.since, now), clock(lock.since))
    other = "" if lock.name == loop.name else f"lock {lock.name}"
    yield tags.tr(
        tags.th(wrapped(loop.name), tags.small(clean(other, 80)), scope="row"),
        cell("Here", badge(lock.state)),
        cell("Held by", two_lines(clean(holder_of(lock) or "–", 80), _process(lock))),
        cell("Since", two_lines(*since)),
        cell("Lease", "–" if lock.number is None else f"{lock.number:,}", kind="number"),
        cell("Standing by", "–" if lock.standbys is None else f"{lock.standbys:,}", kind="number"),
        **{"data-key": key},
    )
    if lock.state in ("refused", "waiting") and lock.reason:
        kind = "error" if lock.state == "refused" else "error note"
        reason = tags.td(clean(lock.reason, 300), colspan=str(len(_NAMES)))
        yield tags.tr(reason, class_=kind, **{"data-key": f"why {key}"})


def _process(lock: LockStatus) -> str:
    host = lock.holder_host if lock.state == "holding" else None
    pid = None if lock.holder_pid is None else f"pid {lock.holder_pid}"
    return clean(", ".join(filter(None, (host, pid))), 80)
