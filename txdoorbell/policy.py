"""What a loop does about time and errors: the settings all its parts share."""

from __future__ import annotations

from dataclasses import dataclass

SLICE = 0.010
"""Seconds after which synchronous functions, and steps, let the reactor have its turn."""


@dataclass
class Policy:
    """
    The settings of one loop; see :class:`txdoorbell.loopbase.LoopBase` for each.

    :ivar name: the loop's name, for logs.
    """

    name: str
    minimum_delay: float
    budget: float
    retry: bool
    slow_after: float
    timeout: float | None
    stop_timeout: float
