"""The status as text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from txdoorbell.commands.watch import printable
from txdoorbell.notification import State
from txdoorbell.status.figures import ago, clock, length, share, size, until

__all__ = ["as_text"]


def as_text(status: dict[str, Any]) -> str:
    """Return what ``/status.json`` says, as a person reads it; no line break at its end."""
    parts = (
        *(_hearing(status), _wal(status), _fleet(status)),
        *(_loops(status), _channels(status)),
    )
    texts = ("\n".join(part) for part in parts)
    return "\n\n".join(filter(None, texts))


def _hearing(status: dict[str, Any]) -> Iterator[str]:
    listener, now = status["listener"], status["now"]
    where = f" at {printable(listener['endpoint'])}" if listener["endpoint"] else ""
    since = f"since {clock(listener['since'])} ({ago(listener['since'], now)})"
    yield f"{printable(status['name'])}: {listener['state']} {since}{where}"
    for reason in status["sick"]:
        yield f"  SICK: {printable(reason)}"
    for reason in status["unready"]:
        yield f"  NOT READY: {printable(reason)}"
    latency = listener["probe_latency"]
    probe = "no probe heard yet" if latency is None else f"last probe heard in {length(latency)}"
    yield f"  {probe}; notification queue: {share(listener['queue_usage'])}"
    for loop in status["loops"]:
        yield f"  {printable(loop['name'])} runs {_running(loop, now)}"


def _wal(status: dict[str, Any]) -> Iterator[str]:
    bell, now = status.get("wal"), status["now"]
    if bell is None:
        return
    at = bell["since"]
    since = "" if at is None else f" since {clock(at)} ({ago(at, now)})"
    yield f"write-ahead log: {bell['state']}{since} at {printable(bell['endpoint'])}"
    if bell["state"] != State.LISTENING:
        yield f"  {printable(bell['reason'])}"
    latency = bell["probe_latency"]
    probe = "no probe heard yet" if latency is None else f"last probe heard in {length(latency)}"
    yield f"  {probe}; kept for us by the server: {size(bell['retained_bytes'])}"
    yield f"  tables: {printable(', '.join(bell['tables'])) or 'none'}"
    heard = ", ".join(f"{table} {count}" for table, count in bell.get("rung", {}).items())
    if heard:
        yield f"  changes heard: {printable(heard)}"


def _running(loop: dict[str, Any], now: float) -> str:
    if loop["active"] is None:
        return "nothing now"
    since = loop["active_since"]
    return printable(loop["active"]) + ("" if since is None else f" for {length(now - since)}")


def _fleet(status: dict[str, Any]) -> Iterator[str]:
    rows = [("LOCKED LOOP", "HERE", "HELD BY", "SINCE", "LEASE", "STANDING BY", "")]
    for loop in status["loops"]:
        if (lock := loop.get("lock")) is not None:
            since = "-" if lock["since"] is None else ago(lock["since"], status["now"])
            reason = lock["reason"] if lock["state"] in ("refused", "waiting") else ""
            counts = ("-" if n is None else str(n) for n in (lock["number"], lock["standbys"]))
            holder = printable(_holder(lock))
            rows.append((_locked(loop), lock["state"], holder, since, *counts, printable(reason)))
    return _table(rows) if len(rows) > 1 else iter(())


def _locked(loop: dict[str, Any]) -> str:
    name, lock = loop["name"], loop["lock"]["name"]
    return printable(name if name == lock else f"{name} ({lock})")


def _holder(lock: dict[str, Any]) -> str:
    host, pid = lock["holder_host"], lock["holder_pid"]
    return " ".join([host or "-", *([f"pid {pid}"] if pid is not None else [])])


def _loops(status: dict[str, Any]) -> Iterator[str]:
    now = status["now"]
    rows = [("FUNCTION", "LAST RUN", "CAUSE", "TOOK", "NEXT", "RUNS", "ERRORS", "")]
    for loop in status["loops"]:
        for f in loop["functions"]:
            took = "-" if f["took"] is None else length(f["took"])
            cause = f["cause"] if f["runs"] else "-"
            state = "running" if f["active"] else "muted" if f["muted"] else _rest(loop)
            figures = (ago(f["began"], now), cause, took, until(f["wakes"], now))
            counts = (str(f["runs"]), str(f["errors"]))
            rows.append((printable(f["name"]), *figures, *counts, state))
    return _table(rows)


def _rest(loop: dict[str, Any]) -> str:
    lock = loop.get("lock")
    return "" if lock is None or lock["state"] == "holding" else str(lock["state"])


def _channels(status: dict[str, Any]) -> Iterator[str]:
    rows = [("CHANNEL", "RINGS", "SUBSCRIBERS", "")]
    heard = set(status["listener"]["channels"])
    for channel in status["channels"]:
        state = "muted" if channel["muted"] else "" if channel["name"] in heard else "not heard"
        counts = (str(channel["rung"]), str(channel["subscribers"]))
        rows.append((printable(channel["name"]), *counts, state))
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
