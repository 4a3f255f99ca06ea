"""Figures: percentiles, medians, and how they are written."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """
    Return the value below which a share of all lies.

    :param values: at least one.
    :param share: from 0 to 1; the nearest rank is taken, nothing is interpolated.
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Iterable[float]) -> float:
    """Return the median; NaN of nothing."""
    present = list(values)
    return statistics.median(present) if present else math.nan


def written(value: float, digits: int = 3) -> str:
    """Write a figure with so many significant digits, and a dash for NaN."""
    if math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"
