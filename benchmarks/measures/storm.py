"""How fast a storm of distinct notifications is heard, and how soon after it the one run begins."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.bench import Bench, Rounds, interleave
from benchmarks.consumers import ALL, FLOOR, Consumer
from benchmarks.figures import median, written
from benchmarks.outcome import Outcome, Table, Target

PATIENCE = 120.0
"""Seconds until a storm counts as lost."""


def measure(bench: Bench) -> Outcome:
    """Let a storm loose on each consumer in turn, several rounds."""
    rounds = interleave(bench, _round)
    tables = [_table(rounds, bench.sizes.storm)]
    return Outcome("storm", tables, _targets(rounds), {"rounds": rounds})


def _round(bench: Bench, consumer: Consumer, _: int) -> dict[str, Any]:
    expected = bench.sizes.storm
    with bench.start("consumers", consumer.name, "storm", bench.dsn, expected) as process:
        process.hear("LISTEN", within=30)
        time.sleep(bench.sizes.settling)
        with bench.start("sender", bench.dsn, "storm", expected) as sender:
            sender.hear("word of the sender", within=60)
        heard = process.listen(PATIENCE)
        if heard is None:
            process.dismiss()
            heard = process.hear("report", within=5)
    seconds = (heard["last"] - heard["first"]) / 1e9
    return {
        "rate": heard["heard"] / seconds,
        "lost": expected - heard["heard"],
        "cpu": heard["cpu"] / expected * 1e6,
        "run_after": (heard["run_after"] - heard["last"]) / 1e6 if heard["run_after"] else None,
    }


def ratio(rounds: Rounds, name: str) -> float:
    """Return the median of the rounds' ratios to the floor."""
    pairs = zip(rounds[name], rounds[FLOOR], strict=True)
    return median(own["rate"] / floor["rate"] for own, floor in pairs)


def _table(rounds: Rounds, size: int) -> Table:
    head = ["consumer", "per second", "/ floor", "CPU, us each", "lost"]
    note = (
        "From the first callback to the last. A processor is not called for each: there it is how "
        "fast the socket is drained. CPU includes all that the process does meanwhile."
    )
    rows = [head, *(_row(rounds, name) for name in rounds)]
    return Table(f"A storm of {size:,} notifications in one transaction", rows, note)


def _row(rounds: Rounds, name: str) -> list[str]:
    taken = rounds[name]
    cells = [median(one["rate"] for one in taken), ratio(rounds, name)]
    cells.append(median(one["cpu"] for one in taken))
    return [ALL[name].title, *map(written, cells), str(sum(one["lost"] for one in taken))]


def _targets(rounds: Rounds) -> list[Target]:
    targets = []
    if "subscriber" in rounds:
        own = ratio(rounds, "subscriber")
        targets.append(Target("storm to a subscriber, rate / floor", own, 0.6, at_least=True))
        if "asyncpg" in rounds:
            what = "storm to a subscriber, rate / floor, beside asyncpg"
            targets.append(Target(what, own, ratio(rounds, "asyncpg"), at_least=True))
    if "processor" in rounds:
        drained = ratio(rounds, "processor")
        late = median(one["run_after"] for one in rounds["processor"] if one["run_after"])
        targets += [
            Target("storm to a processor, drained / floor", drained, 0.8, at_least=True),
            Target("storm to a processor, ms until the one full run", late, 5.0),
        ]
    return targets
