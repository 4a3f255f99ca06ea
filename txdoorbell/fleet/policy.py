"""
When a host tries for the lock of a loop: nothing here knows a reactor, a server or another host.

Three things decide, and none needs a list of hosts. A *weight* that is computed from the names of
host and loop alone (rendezvous hashing) says who likes a loop best. A *head start* turns weights,
and loops held already, into short waits after a lock has come free, so that the host that should
have it tries first. *Rounds* of tries find the locks of holders that died without a word; they are
jittered, so that hosts that began together don't go on together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from random import random

__all__ = ["FIRST", "GROWTH", "HEAD_START", "JITTER", "STANDBYS", "TIE", "Placement", "weight"]

JITTER = 0.2
"""The share of ``lock_interval`` by which the wait between two rounds may be shorter."""

HEAD_START = 0.1
"""
Seconds between the first and the last of equally loaded hosts that try for a free lock, at most.
Where ``lock_interval`` is less than 2 s they are a twentieth of that.
"""

FIRST = 5.0
"""
Head starts that make the first one of a session. Sessions that a server's restart ended come back
within some tenths of a second; with a short one the first of them would have everything.
"""

TIE = 0.1
"""The share of the head start by which processes of one name are told apart."""

STANDBYS = 16
"""How many hosts, on average, stand by for a loop in a fleet of many more."""

GROWTH = 4
"""
A round takes one lock. Where it finds more than one free, another one follows after a head start,
and takes so many times as many. Others come in between, so that what a dead host leaves behind
doesn't go to one alone.
"""

_HALF = 4
"""With as many loops a host that may take any number waits half as long as any load makes it."""


def weight(host: str, loop: str) -> float:
    """
    Say how much a host likes a loop.

    The same two names give the same weight in every process, of every version of Python; weights
    of one loop are independent of those of any other.

    :returns: from 0 to less than 1, evenly spread.
    """
    one, other = host.encode("utf-8", "surrogatepass"), loop.encode("utf-8", "surrogatepass")
    # The length keeps ("a", "bc") and ("ab", "c") apart.
    names = len(one).to_bytes(8) + one + other
    digest = blake2b(names, digest_size=8, person=b"txdoorbell")
    # A float has 53 bits; with more the greatest would be rounded to 1.
    return (int.from_bytes(digest.digest()) >> 11) / 2.0**53


@dataclass(frozen=True)
class Placement:
    """
    One host's policy: which locks it tries for, and when. All times are seconds.

    :ivar host: the host's name. One that comes back under the same name likes the same loops.
        Processes of one name are told apart by chance.
    :ivar lock_interval: within this a standby has tried again, so also the longest that a lock
        stays free of which nobody said that it is.
    :ivar max_loops: how many loops this host takes; None means any number.
    :ivar hosts: how many hosts there are, roughly; None for not many. It may be wrong by half.
    :ivar chance: returns a random number from 0 to less than 1.
    :raises ValueError: for a name that is empty, or a number that can't be; it is named.
    """

    host: str
    lock_interval: float = 2.0
    max_loops: int | None = None
    hosts: int | None = None
    chance: Callable[[], float] = random
    _tie: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check everything, and draw what tells this process from others of the same name."""
        if not self.host:
            raise ValueError("a host of a fleet needs a name: host=''")
        if not 0 < self.lock_interval < inf:
            raise ValueError(f"lock_interval is a number of seconds, above 0: {self.lock_interval}")
        for name, number in (("max_loops", self.max_loops), ("hosts", self.hosts)):
            if number is not None and not _is_count(number):
                raise ValueError(f"{name} is a whole number, at least 1, or None: {number}")
        object.__setattr__(self, "_tie", TIE * self.chance())

    @property
    def head_start(self) -> float:
        """Seconds; see :data:`HEAD_START`."""
        return min(HEAD_START, self.lock_interval / 20.0)

    def has_room(self, held: int) -> bool:
        """Say whether a host that holds so many loops may try for one more."""
        return self.max_loops is None or held < self.max_loops

    def wait(self, loop: str, held: int) -> float:
        """
        Return how long after a lock came free this host tries for it.

        Between 0 and 2.1 head starts: up to one by weight, up to one by load, and a tie-break. Ask
        again when that has passed: a host that has taken others meanwhile waits for the rest.
        While it waits, rounds leave that lock alone. That is so for a loop that it doesn't prefer,
        too; it waits the longest then, and leaves it to the next round.

        :param held: how many loops the host holds. More never makes the wait shorter.
        """
        if not self.prefers(loop):
            return self.longest_wait
        load = held / (self.max_loops or held + _HALF)
        return self.head_start * (1.0 - weight(self.host, loop) + load + self._tie)

    def first_wait(self, loop: str, held: int) -> float:
        """
        Return how long after its session began this host tries for a lock for the first time.

        As :meth:`wait`, but :data:`FIRST` times as long. It is needed because nobody knows who
        else begins just now.
        """
        return FIRST * self.wait(loop, held)

    @property
    def longest_wait(self) -> float:
        """
        How long a host that doesn't prefer a loop leaves it alone, once it heard that it is free.

        After the beginning of a session it is :data:`FIRST` times as long.
        """
        return self.head_start * (2.0 + TIE)

    def until_first_round(self) -> float:
        """
        Return the time from the beginning of a session to its first round: any, evenly spread.

        Locks for which it has not yet tried after their :meth:`first_wait` are left alone by it.
        """
        return self.lock_interval * self.chance()

    def until_next_round(self) -> float:
        """Return the time from one round of tries to the next, with :data:`JITTER`."""
        return self.lock_interval * (1.0 - JITTER * self.chance())

    def prefers(self, loop: str) -> bool:
        """
        Say whether this host is among those that try whenever the lock may be free.

        In a small fleet all are. In a large one, these are the :data:`STANDBYS` (on average) that
        like the loop best: that all try for everything is more than a server can bear.
        """
        return self._share >= 1.0 or weight(self.host, loop) >= 1.0 - self._share

    def tries(self, loop: str) -> bool:
        """
        Say whether this host tries for a loop in this round, if it has room.

        It does for those that it prefers. Of the others it draws as many as are tried for by
        :data:`STANDBYS` hosts in a round, so that a loop isn't lost with those that prefer it.
        """
        return self.prefers(loop) or self.chance() < self._share

    @property
    def _share(self) -> float:
        return 1.0 if self.hosts is None else min(1.0, STANDBYS / self.hosts)


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1
