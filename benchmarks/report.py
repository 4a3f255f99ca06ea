"""The results as text: reStructuredText for the documentation, Markdown, JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measures import MEASURES
from benchmarks.outcome import Outcome, Table

TARGETS = ["figure", "target", "measured", ""]


def write(folder: Path, outcomes: Sequence[Outcome], facts: dict[str, str]) -> None:
    """
    Write results: one file of tables per measure, one of all, and every figure as JSON.

    :param folder: made when it isn't there. Measures that weren't taken stay as they are in it.
    """
    for outcome in outcomes:
        write_one(folder, outcome, facts)
    found = {name: _read(folder / f"{name}.json") for name in MEASURES}
    present = {name: figures for name, figures in found.items() if "tables" in figures}
    machine = Table("Taken on", [["", ""], *_machine(present)])
    rows = [row for figures in present.values() for row in figures["targets"]]
    targets = Table("Targets", [TARGETS, *rows])
    (folder / "machine.rst").write_text(rst([machine]))
    (folder / "targets.rst").write_text(rst([targets]))
    tables = [Table(**table) for figures in present.values() for table in figures["tables"]]
    (folder / "results.md").write_text(markdown([targets, *tables, machine]))


def _read(path: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return figures


def _machine(present: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return rows of facts: of the last run, and which measures are of an earlier one."""
    last: dict[str, str] = {"taken": ""}
    for figures in present.values():
        if figures["taken on"]["taken"] >= last["taken"]:
            last = figures["taken on"]
    taken = {name: figures["taken on"]["taken"] for name, figures in present.items()}
    earlier = [f"{name} ({when})" for name, when in taken.items() if when != last["taken"]]
    rows = [[name, fact] for name, fact in last.items()]
    return [*rows, ["taken in an earlier run", ", ".join(earlier)]] if earlier else rows


def write_one(folder: Path, outcome: Outcome, facts: dict[str, str]) -> None:
    """
    Write one measure's tables and figures, and nothing of the run as a whole.

    :param folder: made when it isn't there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{outcome.name}.rst").write_text(rst(outcome.tables))
    tables = [dataclasses.asdict(table) for table in outcome.tables]
    targets = [target.row() for target in outcome.targets]
    figures = {"taken on": facts, "targets": targets, "tables": tables, **outcome.raw}
    (folder / f"{outcome.name}.json").write_text(_json(figures))


def _json(figures: dict[str, Any]) -> str:
    rounded = json.loads(json.dumps(figures), parse_float=lambda text: float(f"{float(text):.6g}"))
    return json.dumps(rounded, separators=(",", ":")) + "\n"


def rst(tables: Iterable[Table]) -> str:
    """Write tables as reStructuredText."""
    return "\n".join(_rst(table) for table in tables)


def _rst(table: Table) -> str:
    has_head = any(table.rows[0])
    rows = table.rows if has_head else table.rows[1:]
    lines = [f".. list-table:: {table.title}"]
    lines += ["   :header-rows: 1"] if has_head else []
    lines.append("")
    for row in rows:
        first, *rest = [f" {cell}".rstrip() for cell in row]
        lines.append(f"   * -{first}")
        lines += [f"     -{cell}" for cell in rest]
    lines += ["", table.note, ""] if table.note else [""]
    return "\n".join(lines)


def markdown(tables: Iterable[Table]) -> str:
    """Write tables as Markdown."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    head, *rows = [[cell.replace("``", "`") for cell in row] for row in table.rows]
    lines = [f"## {table.title.replace('``', '`')}", "", _line(head), _line(["---"] * len(head))]
    lines += [_line(row) for row in rows]
    lines += ["", table.note] if table.note else []
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def summary(outcomes: Sequence[Outcome]) -> str:
    """Write all tables for a terminal."""
    tables = [table for outcome in outcomes for table in outcome.tables]
    targets = [target.row() for outcome in outcomes for target in outcome.targets]
    return "\n\n".join(_aligned(t) for t in [*tables, Table("Targets", [TARGETS, *targets])])


def _aligned(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(*table.rows, strict=True)]
    lines = [table.title]
    for row in table.rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)
