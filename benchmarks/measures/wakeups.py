"""What it costs to wake one of many sleeping functions."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.figures import median, written
from benchmarks.measures.loop import Rounds, take
from benchmarks.outcome import Outcome, Table, Target

TITLES = {
    "wakeups-clock": "one at a time, without a reactor",
    "wakeups-together": "all due at one moment",
    "wakeups": "one at a time, each by a timer of its own",
    "plain-timers": "the same timers without a loop, for comparison",
}

LIMIT = 10.0
"""Microseconds."""

LEAST = 10_000
"""Sleepers from which on there is a target."""

WAKES = 1_000
"""How many are woken in a round, of all that sleep."""


def measure(bench: Bench) -> Outcome:
    """Take each case with each number of sleepers in turn, several rounds."""
    counts = bench.sizes.sleepers
    rounds = take(bench, [(case, count) for case in TITLES for count in counts], WAKES)
    return Outcome("wakeups", [_table(rounds, counts)], _targets(rounds), {"rounds": rounds})


def _table(rounds: Rounds, counts: tuple[int, ...]) -> Table:
    rows = [["us of CPU for each wake-up", *(f"{count:,} sleep" for count in counts)]]
    for case, title in TITLES.items():
        figures = [median(rounds[f"{case} {count}"]) for count in counts]
        rows.append([title, *map(written, figures)])
    note = (
        "With timers of their own the reactor's part is included, which is the same for a timer "
        "without a loop: it wakes from a sleep of two milliseconds."
    )
    return Table("Wake-ups", rows, note)


def _targets(rounds: Rounds) -> list[Target]:
    return [
        Target(f"a wake-up with {int(count):,} asleep, {TITLES[case]}, us", median(figures), LIMIT)
        for key, figures in rounds.items()
        for case, count in [key.split()]
        if int(count) >= LEAST and case in ("wakeups-clock", "wakeups-together")
    ]
