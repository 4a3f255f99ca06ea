"""What a loop costs for each call of a function, however many functions there are."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import median, written
from benchmarks.outcome import Outcome, Table, Target

TITLES = {
    "plain": "a Python for loop, for comparison",
    "empty": "an empty function",
    "remaining": "a function that returns WORK_REMAINING",
    "plain-deferred": "callLater(0) and a Deferred, for comparison",
    "deferred": "a function that returns an unfired Deferred",
}

LIMITS = {"empty": 2.0, "remaining": 2.0, "deferred": 15.0}
"""Microseconds."""

PATIENCE = 300.0

Rounds = dict[str, list[float]]
"""Microseconds of CPU for each call, by case and number of functions: ``empty 10``."""


def measure(bench: Bench) -> Outcome:
    """Take each case with each number of functions in turn, several rounds."""
    kinds = [
        (case, count)
        for count in bench.sizes.functions
        for case in TITLES
        if count <= 1_000 or not case.endswith("deferred")
    ]
    rounds = take(bench, kinds, bench.sizes.calls)
    table = _table(rounds, bench.sizes.functions)
    return Outcome("loop", [table], _targets(rounds), {"rounds": rounds})


def take(bench: Bench, kinds: list[tuple[str, int]], calls: int) -> Rounds:
    """Run a process for each case and number, several rounds of all of them."""
    rounds: Rounds = {f"{case} {count}": [] for case, count in kinds}
    for _ in range(bench.sizes.cpu_rounds):
        for case, count in kinds:
            fewer = calls // 5 if case.endswith("deferred") else calls
            with bench.start("loops", case, count, fewer) as process:
                said: dict[str, Any] = process.hear("figures", PATIENCE)
            rounds[f"{case} {count}"].append(said["cpu"])
    return rounds


def _table(rounds: Rounds, counts: tuple[int, ...]) -> Table:
    head = ["us of CPU for each call of", *(f"{count:,} functions" for count in counts)]
    rows = [head]
    for case, title in TITLES.items():
        taken = [rounds.get(f"{case} {count}", []) for count in counts]
        rows.append([title, *(written(median(figures)) for figures in taken)])
    rows[0][1:] = [cell.replace(" 1 functions", " 1 function") for cell in rows[0][1:]]
    note = "The loop is rung again by its last function, so that runs follow each other at once."
    return Table("Calls", rows, note)


def _targets(rounds: Rounds) -> list[Target]:
    targets = []
    for key, figures in rounds.items():
        case, count = key.split()
        if case in LIMITS:
            what = f"{TITLES[case]}, of {int(count):,}, us"
            targets.append(Target(what, median(figures), LIMITS[case]))
    return targets
