"""
What the states of an election keep: a head start, a try, a lock that is being given back.

Each is there as long as its state is. An answer that comes after that is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.python.failure import Failure

from txdoorbell.clocks import EARLY, monotonic_of
from txdoorbell.fleet.candidate import Candidate
from txdoorbell.fleet.locking import Answer, Granted, Holder, Lease, LockFailed, Passed

__all__ = ["Attempt", "Handover", "HeadStart", "Outcome", "Turn"]


class Turn(Protocol):
    """Whom a head start tells that it has passed: the election."""

    def aimed(self) -> None:
        """Try, because the head start of others has passed."""

    def crowded(self) -> None:
        """Do not try: this process holds as many locks as it may."""

    def left(self) -> None:
        """Leave the lock to other hosts: they like it better, and have had their time."""


class HeadStart:
    """
    The wait for those who should have a lock that has come free.

    :param wait: says how long it is, as things stand.
    """

    def __init__(self, candidate: Candidate, wait: Callable[[], float], turn: Turn) -> None:
        self._candidate = candidate
        self._wait = wait
        self._turn = turn
        self._now = monotonic_of(candidate.clock)
        self._began = self._now()
        self._timer = candidate.clock.callLater(wait(), self._due)

    def _due(self) -> None:
        # A process that has got others meanwhile has longer to wait.
        left = self._wait() - (self._now() - self._began)
        if left > EARLY:
            self._timer = self._candidate.clock.callLater(left, self._due)
        elif not self._candidate.prefers():
            self._turn.left()
        elif self._candidate.has_room():
            self._turn.aimed()
        else:
            self._turn.crowded()

    def cancel(self) -> None:
        """Wait no more."""
        if self._timer.active():
            self._timer.cancel()


class Outcome(Protocol):
    """Whom an attempt tells what has come of it: the election."""

    def granted(self, lease: Lease) -> None:
        """Learn that the lock was got."""

    def denied(self, holder: Holder | None) -> None:
        """Learn that another session holds the lock."""

    def missed(self) -> None:
        """Learn that the lock was held, and has been given back since it was tried for."""

    def crowded(self) -> None:
        """Learn that others were got first, and there was room for no more."""

    def left(self) -> None:
        """Learn that others were got first, and this one is for other hosts, for a while."""

    def failed(self, text: str) -> None:
        """Learn that the try came to nothing."""


class Attempt:
    """
    One try, until it is answered or dropped.

    :ivar outdated: whether somebody has said meanwhile that the lock is free.
    """

    def __init__(self, candidate: Candidate, outcome: Outcome) -> None:
        self.outdated = False
        self._candidate = candidate
        self._outcome: Outcome | None = outcome
        assert candidate.session is not None
        asked = candidate.session.try_for(candidate.name)
        asked.addCallbacks(self._answered, self._came_to_nothing)

    def _answered(self, answer: Answer) -> None:
        if self._outcome is None:
            return
        if isinstance(answer, Granted):
            self._outcome.granted(answer.lease)
        elif isinstance(answer, Passed):
            self._pass()
        elif self.outdated:
            self._outcome.missed()
        else:
            self._outcome.denied(answer.holder)
        self._candidate.settle()

    def _pass(self) -> None:
        assert self._outcome is not None
        if self._candidate.has_room():
            self._outcome.left()
            self._candidate.left()
        else:
            self._outcome.crowded()

    def _came_to_nothing(self, failure: Failure) -> None:
        # When the session has ended, that is told by itself.
        if self._outcome is not None and failure.check(LockFailed):
            self._outcome.failed(str(failure.value))
            self._candidate.settle()

    def drop(self) -> None:
        """Don't wait for the answer any more."""
        self._outcome = None


class Handover:
    """
    A lock that is being given back, until that is answered or dropped.

    :param done: called when it has been given back; it is free, too, when its session has ended.
    """

    def __init__(self, candidate: Candidate, done: Callable[[], None]) -> None:
        self._candidate = candidate
        self._done: Callable[[], None] | None = done
        assert candidate.session is not None
        candidate.session.give_back(candidate.name).addBoth(self._answered)

    def _answered(self, _: object) -> None:
        if self._done is not None:
            self._done()
            self._candidate.settle()

    def drop(self) -> None:
        """Don't wait for the answer any more."""
        self._done = None
