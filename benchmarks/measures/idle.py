"""What ``twistd doorbell`` costs while nothing happens: queries, wakes, CPU, memory."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from benchmarks.bench import QUICK_SERVER, Bench, server
from benchmarks.figures import written
from benchmarks.outcome import Outcome, Table, Target
from benchmarks.proc import usage_of
from benchmarks.twistd import doorbell

SETTLING = 5.0
"""Seconds from LISTEN until the process is taken for idle."""

LOGGING = {
    "log_statement": "all",
    "log_line_prefix": "%a|",
    "log_connections": "on",
    "autovacuum": "off",
}


def measure(bench: Bench) -> Outcome:
    """Let it do nothing for a while, once: longer is better than oftener here."""
    with (
        server({**QUICK_SERVER, **LOGGING}) as private,
        doorbell(bench.folder, private.dsn, "idle") as process,
    ):
        time.sleep(SETTLING)
        log = private.data / "postgresql.log"
        skipped, before = log.stat().st_size, usage_of(process.pid)
        time.sleep(bench.sizes.idle)
        after = usage_of(process.pid)
        statements = statements_in(log, skipped)
    minutes = bench.sizes.idle / 60
    raw = {
        "seconds": bench.sizes.idle,
        "statements per minute": {text: n / minutes for text, n in statements.items()},
        "wakes per minute": (after.wakes - before.wakes) / minutes,
        "share of a core": (after.cpu - before.cpu) / bench.sizes.idle,
        "resident MB": after.memory,
    }
    return Outcome("idle", [_table(raw, statements, minutes)], _targets(raw), raw)


def statements_in(log: Path, skipped: int) -> Counter[str]:
    """Count what a server was asked, and by how many connections, past the beginning of its log."""
    with log.open("rb") as lines:
        lines.seek(skipped)
        said = lines.read().decode(errors="replace").splitlines()
    counted: Counter[str] = Counter()
    for line in said:
        if "connection authorized" in line:
            counted["(a connection is made)"] += 1
        _, found, statement = line.partition("LOG:  statement: ")
        if found:
            counted[_shape(statement)] += 1
    return counted


def _shape(statement: str) -> str:
    """Leave out what differs from one time to the next."""
    return " ".join(statement.split("'")[::2]).split(";")[0][:60].strip()


def _table(raw: dict[str, object], statements: Counter[str], minutes: float) -> Table:
    rows = [["in a minute of doing nothing", ""]]
    rows += [[f"statement: ``{text}``", written(n / minutes)] for text, n in statements.items()]
    rows.append(["wakes of the process, all threads", _cell(raw, "wakes per minute")])
    rows.append(["share of a core, %", written(_figure(raw, "share of a core") * 100)])
    rows.append(["resident memory, MB", _cell(raw, "resident MB")])
    return Table("``twistd doorbell``, idle", rows)


def _figure(raw: dict[str, object], name: str) -> float:
    return float(str(raw[name]))


def _cell(raw: dict[str, object], name: str) -> str:
    return written(_figure(raw, name))


def _targets(raw: dict[str, object]) -> list[Target]:
    share = _figure(raw, "share of a core") * 100
    return [
        Target("idle, share of a core, %", share, 0.1),
        Target("idle, resident memory, MB", _figure(raw, "resident MB"), 45.0),
    ]
