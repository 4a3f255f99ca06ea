"""What a loop does about time and errors: the settings all its parts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SLICE = 0.005
"""Seconds after which synchronous functions, and steps, let the reactor have its turn."""

CANCEL_GRACE = 5.0
"""Seconds in which a function that was cancelled must end; after that it is stuck."""

LAST_GRACE = 0.1
"""Seconds in which a function must end that was cancelled at the deadline of a stop."""

SUSPEND_GRACE = 1.0
"""Seconds in which a function must end that was cancelled because its loop may not run here."""


@dataclass
class Policy:
    """
    The settings of one loop; see :class:`txdoorbell.loops.loopbase.LoopBase` for each.

    :ivar name: the loop's name, for logs.
    """

    name: str
    minimum_delay: float
    budget: float
    retry: bool
    slow_after: float
    timeout: float | None
    stop_timeout: float
    stuck: Literal["wait", "resign"] = "wait"
