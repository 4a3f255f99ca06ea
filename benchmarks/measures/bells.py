"""What each bell costs those who write, what it takes itself, and how soon it rings."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

from benchmarks.bells import BELLS, LEVELS, NONE, hearing, pin_server, prepare, query
from benchmarks.bench import Bench, server
from benchmarks.commits import CLIENTS, pgbench, write
from benchmarks.figures import median, percentile, written
from benchmarks.measures.wake import waits_of_runs
from benchmarks.outcome import Outcome, Table, Target
from benchmarks.record import CHANNEL
from txdoorbell.embedded import PostgresServer

PLACES = {
    "shared": "all share the cores",
    "spare": "the last core is kept for the bell",
}
"""Who runs where: with a single core there is only the first."""

WARMING = 25
"""Wakes at the beginning of a round that don't count."""

_INSERT = "insert into {table} (body) values ('twenty bytes of body')"

WAYS = {
    "trigger": ("NOTIFY by the trigger of ``txdoorbell sql``", "channel", "by_statement"),
    "log": ("the write-ahead log, an insert", "table", "by_log"),
    "message": ("the write-ahead log, a message", "message", ""),
}
"""How a function is woken: a title, how :mod:`benchmarks.woken` hears it, the table."""

DISKS = {"on": "the server waits for its disk", "off": "it doesn't"}
"""What is said of a server by its ``fsync``."""

_MESSAGE = f"select pg_logical_emit_message(true, 'txdoorbell:{CHANNEL}', '')"

Rounds = dict[str, list[dict[str, Any]]]
"""What each round came to, by place and bell: ``spare by_log``, or by disk and way."""


def measure(bench: Bench) -> Outcome:
    """Write with each bell in turn, several rounds, then wake a function by each."""
    bench = replace(bench, sizes=replace(bench.sizes, writing=bench.sizes.writing * 2 / 3))
    with ExitStack() as stack:
        servers = {
            level: stack.enter_context(server({"max_connections": "100", "wal_level": level}))
            for level in LEVELS
        }
        for private in servers.values():
            prepare(private)
        rounds = _write_in_turn(bench, servers)
        wakes = _wake_in_turn(bench, servers["logical"])
    tables = [*(_writers(rounds, place) for place in places()), _cpu(rounds), _wakes(wakes)]
    return Outcome("bells", tables, _targets(rounds, wakes), {"rounds": rounds, "wakes": wakes})


def places() -> dict[str, tuple[list[int], list[int]]]:
    """Return the cores of those who write, and those of the bell, by place."""
    cores = sorted(os.sched_getaffinity(0))
    there = {"shared": (cores, cores)}
    return there | {"spare": (cores[:-1], cores[-1:])} if len(cores) > 1 else there


def _write_in_turn(bench: Bench, servers: Mapping[str, PostgresServer]) -> Rounds:
    ways = [(place, name) for place in places() for name in BELLS]
    rounds: Rounds = {f"{place} {name}": [] for place, name in ways}
    for number in range(bench.sizes.rounds):
        first = 3 * number % len(ways)  # Who comes after whom is not the same each time.
        for place, name in ways[first:] + ways[:first]:
            private = servers[BELLS[name].level]
            rounds[f"{place} {name}"].append(_write(bench, private, name, place))
    return rounds


def _write(bench: Bench, private: PostgresServer, name: str, place: str) -> dict[str, Any]:
    bell, (of_writers, of_bell) = BELLS[name], places()[place]
    pin_server(private, of_writers)
    with hearing(bench, private, bell, of_bell) as heard:
        commits = write(bench, private.dsn, _INSERT.format(table=bell.table), of_writers)
        behind = heard.wait_until_read() if bell.is_of_log else 0.0
        count = commits.rate * max(1, round(bench.sizes.writing))
        cpu = {what: used / count * 1e6 for what, used in heard.cpu.items()}
    return {**asdict(commits), "behind": behind, "cpu": cpu}


def _wake_in_turn(bench: Bench, private: PostgresServer) -> Rounds:
    """Wake by each way, with and without waiting for the disk."""
    pin_server(private, places()["shared"][0])
    rounds: Rounds = {f"{disk} {way}": [] for disk in DISKS for way in WAYS}
    for number in range(bench.sizes.cpu_rounds):
        for disk in DISKS:
            query(private.dsn, f"alter system set fsync = {disk}")
            query(private.dsn, "select pg_reload_conf()")
            for way in WAYS:
                rounds[f"{disk} {way}"].append(wake(bench, private, way, number))
    return rounds


def wake(bench: Bench, private: PostgresServer, way: str, seed: int) -> dict[str, Any]:
    """Write one statement after the other, and say how soon each woke a function."""
    _, bell, table = WAYS[way]
    sql = _INSERT.format(table=table) if table else _MESSAGE
    count = bench.sizes.wakes // 2 + WARMING
    with bench.start("woken", bell, private.dsn) as process:
        process.hear("word that it hears", within=30)
        time.sleep(bench.sizes.settling)
        with bench.start("statements", private.dsn, sql, count, seed) as writer:
            sent = writer.hear("word of the writer", within=60)["sent"]
        time.sleep(bench.sizes.settling)
        process.dismiss()
        runs = process.hear("report", within=5)["runs"]
    waits = [wait / 1000 for wait in waits_of_runs(sent, runs)[WARMING:]]
    return {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99), "runs": len(runs)}


def share(rounds: Rounds, place: str, name: str) -> float:
    """Return the median of the rounds' ratios to writing with no bell."""
    return _ratio(rounds, f"{place} {name}", f"{place} {NONE}", "rate")


def _ratio(rounds: Rounds, own: str, other: str, what: str) -> float:
    pairs = zip(rounds[own], rounds[other], strict=True)
    return median(mine[what] / theirs[what] for mine, theirs in pairs)


def _median(rounds: Rounds, key: str, what: str) -> float:
    return median(taken[what] for taken in rounds[key])


def _writers(rounds: Rounds, place: str) -> Table:
    rows = [["", "commits/s", "/ no bell", "p50, ms", "p99, ms", "p99 / no bell"]]
    for name, bell in BELLS.items():
        key = f"{place} {name}"
        cells = [_median(rounds, key, "rate"), share(rounds, place, name)]
        cells += [_median(rounds, key, what) for what in ("p50", "p99")]
        cells.append(_ratio(rounds, key, f"{place} {NONE}", "p99"))
        rows.append([bell.title, *map(written, cells)])
    with_what = "pgbench" if pgbench() else "threads of Python"
    note = (
        f"{CLIENTS} clients of {with_what}, one insert per transaction, each synced to disk;"
        " latencies are the clients'. Ratios are medians, too: of the rounds' own ratios."
    )
    return Table(f"Writers: {PLACES[place]}", rows, note)


_WORKERS = {
    "walsender": "decoding: the walsender",
    "sessions": "the bell's other sessions",
    "doorbell": "``twistd doorbell``",
}


def _cpu(rounds: Rounds) -> Table:
    head = [f"{what}, ms per 1,000 commits" for what in _WORKERS.values()]
    rows = [["", *head, "all, % of a core", "behind at the end, s"]]
    for place in places():
        for name, bell in BELLS.items():
            if bell.arguments:
                title = f"{bell.title}; {PLACES[place]}"
                rows.append([title, *map(written, _cpu_of(rounds[f"{place} {name}"]))])
    note = (
        "Milliseconds per 1,000 commits are microseconds for each. *Behind* is how long the log"
        " was still being read when the last commit had been made, to 0.2 s."
    )
    return Table("CPU of the bells", rows, note)


def _cpu_of(rounds: Sequence[dict[str, Any]]) -> list[float]:
    each = [median(r["cpu"][what] for r in rounds if what in r["cpu"]) for what in _WORKERS]
    whole = median(sum(r["cpu"].values()) * r["rate"] / 1e6 * 100 for r in rounds)
    return [*each, whole, median(r["behind"] for r in rounds)]


def _wakes(wakes: Rounds) -> Table:
    rows = [["", "p50, us", "p99, us", "p50 / NOTIFY", "p99 / NOTIFY"]]
    for disk, said in DISKS.items():
        for way, (title, *_) in WAYS.items():
            key = f"{disk} {way}"
            cells = [_median(wakes, key, what) for what in ("p50", "p99")]
            cells += [_ratio(wakes, key, f"{disk} trigger", what) for what in ("p50", "p99")]
            rows.append([f"{title}; {said}", *map(written, cells)])
    note = "One statement at a time: from before it is sent until the function is called."
    return Table("From an insert to the function", rows, note)


def _targets(rounds: Rounds, wakes: Rounds) -> list[Target]:
    place = "spare" if "spare" in places() else "shared"
    what = f"commits/s with the log as bell / with no bell, {PLACES[place]}"
    targets = [Target(what, share(rounds, place, "by_log"), 0.9, at_least=True)]
    for disk, said in DISKS.items():
        ratio = _ratio(wakes, f"{disk} log", f"{disk} trigger", "p50")
        targets.append(Target(f"wake by the log, p50 / by NOTIFY, {said}", ratio, 1.5))
    return targets
