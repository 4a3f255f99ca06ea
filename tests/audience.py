"""An audience that remembers what it was told."""

from txdoorbell.notification import Hearable, State


class RecordingAudience:
    """
    Remembers each call, in order.

    :ivar calls: ``(channel, payload, pid)`` for a notification, ``(state, reason)`` for a state,
        ``("LISTEN", channels, fresh)`` for a LISTEN.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.heard: list[tuple[str, str, int]] = []
        self.states: list[State] = []
        self.listens: list[tuple[frozenset[str], bool]] = []

    def notified(self, notification: Hearable) -> None:
        """Remember a notification."""
        self.heard.append((notification.channel, notification.payload, notification.pid))
        self.calls.append(self.heard[-1])

    def listening(self, channels: frozenset[str], fresh: bool) -> None:
        """Remember a LISTEN."""
        self.listens.append((channels, fresh))
        self.calls.append(("LISTEN", channels, fresh))

    def state_changed(self, state: State, reason: str) -> None:
        """Remember a state."""
        self.states.append(state)
        self.calls.append((state, reason))
