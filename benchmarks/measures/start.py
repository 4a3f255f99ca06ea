"""How long a start takes, and what is imported for it."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import median, written
from benchmarks.outcome import Outcome, Table, Target
from benchmarks.twistd import doorbell, twistd

IMPORTS = (
    "twisted.application.service",
    "txdoorbell",
    "txdoorbell.doorbell",
    "txdoorbell.listener",
)

WEB = ("web", "--listen", "tcp:0:interface=127.0.0.1")


def measure(bench: Bench) -> Outcome:
    """Start each kind of process in turn, several times."""
    starts: dict[str, list[float]] = {"web": [], "doorbell": []}
    helps: dict[str, list[dict[str, Any]]] = {"with": [], "without": []}
    imports: dict[str, list[dict[str, Any]]] = {name: [] for name in IMPORTS}
    for _ in range(bench.sizes.starts):
        with twistd(bench.folder, "Starting factory", *WEB) as web:
            starts["web"].append(web.seconds)
        with doorbell(bench.folder, bench.dsn, "start") as bell:
            starts["doorbell"].append(bell.seconds)
        for kind, taken in helps.items():
            taken.append(_cost(bench, "help", kind))
        for name, taken in imports.items():
            taken.append(_cost(bench, "import", name))
    raw = {"starts": starts, "helps": helps, "imports": imports}
    return Outcome("start", _tables(raw), _targets(raw), raw)


def _cost(bench: Bench, *arguments: str) -> dict[str, Any]:
    with bench.start("cost_of_import", *arguments) as process:
        return process.hear("figures", within=60)


def _cpu(taken: list[dict[str, Any]]) -> float:
    return median(one["cpu"] for one in taken)


def _tables(raw: dict[str, Any]) -> list[Table]:
    starts, helps = raw["starts"], raw["helps"]
    rows = [["", "seconds"]]
    rows.append(["``twistd -n web``, until its site is served", written(median(starts["web"]))])
    rows.append(
        ["``twistd -n doorbell``, until LISTEN is committed", written(median(starts["doorbell"]))]
    )
    costs = [["", "CPU, ms", "modules", "of ours", "of the optional"]]
    for kind, taken in helps.items():
        costs.append(_cost_row(f"``twistd --help`` {kind} our plugin", taken))
    for name, taken in raw["imports"].items():
        costs.append(_cost_row(f"``import {name}``", taken))
    return [Table("From exec to work", rows), Table("Imports", costs)]


def _cost_row(title: str, taken: list[dict[str, Any]]) -> list[str]:
    last = taken[-1]
    optional = ", ".join(last["optional"]) or "none"
    return [title, written(_cpu(taken)), str(last["modules"]), str(len(last["ours"])), optional]


def _targets(raw: dict[str, Any]) -> list[Target]:
    more = median(raw["starts"]["doorbell"]) - median(raw["starts"]["web"])
    share = _cpu(raw["helps"]["with"]) / _cpu(raw["helps"]["without"])
    ours = len(raw["helps"]["with"][-1]["ours"])
    return [
        Target("start, seconds more than twistd web", more, 0.6),
        Target("twistd --help, CPU with the plugin / without", share, 1.05),
        Target("twistd --help, modules of ours imported", ours, 0),
    ]
