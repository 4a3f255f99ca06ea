"""Why a function is called."""

from __future__ import annotations

import enum


class Cause(enum.IntEnum):
    """
    Why something is due, the most telling first: of several causes the least number counts.

    :attr:`RING` alone was announced; what :attr:`INTERVAL` finds should have been.
    """

    __hash__ = int.__hash__  # An Enum's own is a call of Python code, at each counting.

    RING = 1
    """It was notified, triggered, or unmuted after that."""
    RECONNECT = 2
    """LISTEN was committed: rings before that may be lost."""
    START = 3
    """The loop was started, or resumed, or the function added."""
    WAKEUP = 4
    """Its time had come, or that of another try."""
    REMAINING = 5
    """It had said that work remained."""
    INTERVAL = 6
    """The safety net was cast."""

    @property
    def word(self) -> str:
        """The cause in one word, for people and metrics."""
        return self.name.lower()


# On Python 3.11 a member of an Enum takes ten times as long to look up as a name of a module.
RING, RECONNECT, START, WAKEUP, REMAINING, INTERVAL = Cause
