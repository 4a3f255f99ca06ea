"""How long it takes from NOTIFY, sent by another process, to the user's first statement."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from benchmarks.bench import Bench, Rounds, interleave
from benchmarks.consumers import ALL, FLOOR, Consumer
from benchmarks.figures import median, percentile, written
from benchmarks.outcome import Outcome, Table, Target

WARMING = 50
"""Notifications at the beginning of a round that don't count."""


def measure(bench: Bench) -> Outcome:
    """Send to each consumer in turn, several rounds."""
    rounds = interleave(bench, _round)
    return Outcome("wake", [_table(rounds)], _targets(rounds), {"rounds": rounds})


def _round(bench: Bench, consumer: Consumer, seed: int) -> dict[str, Any]:
    expected = bench.sizes.wakes + WARMING
    with bench.start("consumers", consumer.name, "wake", bench.dsn, expected) as process:
        process.hear("LISTEN", within=30)
        time.sleep(bench.sizes.settling)
        with bench.start("sender", bench.dsn, "wake", expected, seed) as sender:
            sent = sender.hear("word of the sender", within=60)["sent"]
        heard = process.listen(0.5)
        if heard is None:
            process.dismiss()
            heard = process.hear("report", within=5)
    waits = heard["waits"] or waits_of_runs(sent, heard["runs"])
    micros = [wait / 1000 for wait in waits[WARMING:]]
    return {"waits": micros, "lost": expected - len(waits), "cpu": heard["cpu"] / expected * 1e6}


def waits_of_runs(sent: Sequence[int], runs: Sequence[int]) -> list[int]:
    """Return how long after each sending the first run began; a sending without one is left out."""
    found = [(moment, bisect_left(runs, moment)) for moment in sent]
    return [runs[place] - moment for moment, place in found if place < len(runs)]


def _of(rounds: Rounds, name: str, share: float) -> list[float]:
    return [percentile(taken["waits"], share) for taken in rounds[name]]


def ratio(rounds: Rounds, name: str, share: float) -> float:
    """Return the median of the rounds' ratios to the floor."""
    pairs = zip(_of(rounds, name, share), _of(rounds, FLOOR, share), strict=True)
    return median(own / floor for own, floor in pairs)


def _table(rounds: Rounds) -> Table:
    head = ["consumer", "p50, us", "p99, us", "p50 / floor", "p99 / floor", "CPU, us", "unseen"]
    rows = [head, *(_row(rounds, name) for name in rounds)]
    note = (
        "CPU is the consumer's own, for each notification. Unseen are those that were lost, or, by "
        "what runs in a thread, served together with the next."
    )
    return Table("From NOTIFY to the callback's first statement", rows, note)


def _row(rounds: Rounds, name: str) -> list[str]:
    cells = [median(_of(rounds, name, share)) for share in (0.5, 0.99)]
    cells += [ratio(rounds, name, share) for share in (0.5, 0.99)]
    cells.append(median(taken["cpu"] for taken in rounds[name]))
    lost = sum(taken["lost"] for taken in rounds[name])
    return [ALL[name].title, *map(written, cells), str(lost)]


def _targets(rounds: Rounds) -> list[Target]:
    if "processor" not in rounds:
        return []
    targets = [
        Target("wake of a processor, p50 / floor", ratio(rounds, "processor", 0.5), 1.25),
        Target("wake of a processor, p99 / floor", ratio(rounds, "processor", 0.99), 1.5),
    ]
    peers = [name for name in rounds if ALL[name].is_peer]
    best = min(peers, key=lambda name: ratio(rounds, name, 0.5), default=None)
    if best is not None:
        what = f"wake of a processor, p50 / floor, beside the best peer ({ALL[best].title})"
        own = ratio(rounds, "processor", 0.5)
        targets.append(Target(what, own, ratio(rounds, best, 0.5)))
    return targets
