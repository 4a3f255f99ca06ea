"""How far a session has come, and how those learn who still ask it something."""

from enum import Enum

__all__ = ["Phase", "SessionEnded"]


class SessionEnded(Exception):
    """The session ended before it could answer; the text says why."""


class Phase(Enum):
    """How far a session has come. There is no way back."""

    NEW = "new"
    CONNECTING = "connecting"
    OPEN = "open"
    ENDED = "ended"
