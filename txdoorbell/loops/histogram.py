"""
How long things took, counted in buckets.

Most calls take less than the first bound. These are only counted; see
:mod:`txdoorbell.loops.record`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

__all__ = ["BOUNDS", "Durations", "Slow"]

BOUNDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 300.0)
"""Seconds: the upper bound of each bucket but the last, which has none."""

FIRST = BOUNDS[0]


@dataclass(frozen=True)
class Durations:
    """
    How long something took, so far.

    :ivar counts: how often it fell into each bucket; one more than there are bounds.
    :ivar total: the seconds of all of them together.
    """

    counts: tuple[int, ...]
    total: float


class Slow:
    """Counts what took longer than the first bound."""

    __slots__ = ("_counts", "_number")

    def __init__(self) -> None:
        self._counts = [0] * len(BOUNDS)
        self._number = 0

    def add(self, seconds: float) -> None:
        """Count one that took so long."""
        self._counts[bisect_left(BOUNDS, seconds, 1) - 1] += 1
        self._number += 1

    def among(self, number: int, total: float) -> Durations:
        """
        Return all, those within the first bound among them.

        :param number: how many there were, those included.
        :param total: the seconds that all took together.
        """
        return Durations((max(0, number - self._number), *self._counts), total)
