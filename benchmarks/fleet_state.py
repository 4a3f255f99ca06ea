"""What the model of a fleet keeps of its hosts, its locks, and what has happened."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf

from txdoorbell.fleet.policy import Placement


@dataclass(frozen=True)
class Size:
    """
    A fleet, and its settings.

    :ivar told: how many hosts they are told that there are.
    """

    hosts: int
    loops: int
    max_loops: int | None = None
    lock_interval: float = 2.0
    told: int | None = None


@dataclass
class Host:
    """
    A process.

    :ivar likes: the loops that it prefers.
    :ivar session: grows when one begins and when it ends; what was planned before is void.
    :ivar planned: loops for which a head start runs.
    :ivar reserved: until when it leaves loops alone that it doesn't prefer.
    :ivar spoke: when it last sent a statement.
    :ivar looked: when it last asked who the holders are.
    :ivar due: when it asks again.
    """

    placement: Placement
    likes: list[str]
    session: int = 0
    up: bool = False
    held: set[str] = field(default_factory=set)
    planned: set[str] = field(default_factory=set)
    reserved: float = 0.0
    spoke: float = -1.0
    looked: float = -inf
    due: float = -inf


@dataclass
class Free:
    """
    A free lock.

    :ivar since: when the fault was that led to this.
    :ivar fenced: when the last holder stopped, or will have stopped, its functions.
    :ivar rung: when a release was rung, if it was.
    """

    since: float
    fenced: float
    rung: float = -inf


@dataclass
class Tally:
    """
    What came of it.

    :ivar gaps: seconds without a holder.
    :ivar tries: locks that were tried for, by slot.
    :ivar statements: those that were sent for that, by slot.
    :ivar wakes: how often a session that had been idle was sent one.
    :ivar lookups: how often it was asked who the holders are.
    :ivar doubles: how often a loop was taken while its last holder ran it.
    """

    gaps: list[float] = field(default_factory=list)
    tries: Counter[int] = field(default_factory=Counter)
    statements: Counter[int] = field(default_factory=Counter)
    wakes: int = 0
    lookups: int = 0
    doubles: int = 0
