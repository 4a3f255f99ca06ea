"""
What is measured, a module each, with ``measure(bench) -> Outcome``.

A module with plots has ``plot(outcome, folder)`` too.
"""

from __future__ import annotations

MEASURES = (
    "wake", "storm", "loop", "wakeups", "fairness", "idle", "start", "writers", "bells", "fleet",
)  # fmt: skip
"""In the order in which they are taken."""
