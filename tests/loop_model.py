"""
A simple model of what a loop promises.

It knows no runs. It keeps, for each function, whether it is owed a call, how many calls a ring may
still explain (one of the run that is under way, one of the next), and when it is to wake. Each call
must be explained; when the loop is quiet, nobody may be owed one.
"""

from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

CANCELLED = "cancelled"
CHANNELS: list[set[str] | None] = [None, {"a"}, {"b"}, {"a", "b"}]
"""What each of the functions hears; the last one is choosy, besides."""


@dataclass
class Plan:
    """
    What a function is to do when it is called next.

    :ivar inside: what it does besides, at once or, ``late``, when it has waited once.
    """

    style: str = "now"
    outcome: str = "none"
    seconds: float = 0.0
    inside: tuple[str, Any] | None = None
    late: bool = False


@dataclass
class Active:
    """
    A call that is under way.

    :ivar returned: whether it has, with something that is to be waited for.
    :ivar dropped: whether the loop has lost interest in it.
    :ivar withdrawn: whether it was cancelled because the loop was suspended.
    """

    slot: int | None
    plan: Plan
    began: float
    generation: int
    gate: Deferred[Any] = field(default_factory=Deferred)
    returned: bool = False
    dropped: bool = False
    withdrawn: bool = False
    over: bool = False


@dataclass
class Slot:
    """What the model knows of one function."""

    present: bool = False
    muted: bool = False
    generation: int = 0
    owed: bool = False
    explained: int = 0
    wake: float | None = None
    failures: int = 0
    plans: list[Plan] = field(default_factory=list)

    def ring(self, explained: int = 2) -> None:
        """Owe it a call."""
        if self.present:
            self.owed = True
            self.explained = max(self.explained, explained)

    def forget(self) -> None:
        """Owe it nothing."""
        self.owed, self.explained = False, 0
