"""What a measure came to: tables, targets, and figures for plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import written


@dataclass(frozen=True)
class Target:
    """
    A figure that should not exceed, or not fall short of, another.

    :ivar what: what was measured.
    :ivar value: what it came to.
    :ivar limit: what it may come to.
    :ivar at_least: whether the limit is the least.
    """

    what: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is on the right side of the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def row(self) -> list[str]:
        """Return the cells of a table's row."""
        side = "at least" if self.at_least else "at most"
        limit = f"{side} {written(self.limit)}"
        return [self.what, limit, written(self.value), "met" if self.met else "**missed**"]


@dataclass(frozen=True)
class Table:
    """A table of text; the first row is its heading."""

    title: str
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass
class Outcome:
    """
    What one measure came to.

    :ivar raw: every figure that was taken, for JSON and for the plots.
    """

    name: str
    tables: list[Table]
    targets: list[Target] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
