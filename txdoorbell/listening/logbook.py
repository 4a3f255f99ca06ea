"""What the log says of a listener: one line for each change of its state."""

from collections import deque
from collections.abc import Callable, Iterable

from twisted.logger import Logger

from txdoorbell.notification import State

__all__ = ["Logbook"]

_FORMAT = "{name} ({endpoint}, channels {channels}) is {state}: {reason}"
_RESTORED = (
    "{name} ({endpoint}): something undid LISTEN in its session (UNLISTEN or DISCARD, by a pooler?)"
    "; it is committed again for {channels}"
)
_SHOWN = 10
_REMEMBERED = 16


class Logbook:
    """
    Writes a line for each change of state, but not one for each attempt of an outage.

    While attempts fail, a line is written only when the error's text is a new one in this outage:
    with several servers to try, each attempt begins at another one, and the texts take turns.

    :param name: what to call the listener.
    :param endpoint: returns where it connects to, with no password in it.
    """

    log = Logger()

    def __init__(self, name: str, endpoint: Callable[[], str]) -> None:
        self._name = name
        self._endpoint = endpoint
        self._last = (State.STOPPED, "stopped")
        self._said: deque[tuple[State, str]] = deque(maxlen=_REMEMBERED)

    def note(self, state: State, reason: str, channels: Iterable[str]) -> None:
        """Take note of a state, changed or not, and of the reason in words."""
        if state is State.CONNECTING and self._last[0] is not State.STOPPED:
            return
        if (state, reason) == self._last:
            return
        self._last = state, reason
        if state in (State.LISTENING, State.STOPPED):
            self._said.clear()
        elif self._last in self._said:
            return
        self._said.append(self._last)
        write = self.log.warn if state in (State.WAITING, State.DEAF) else self.log.info
        write(
            _FORMAT,
            name=self._name,
            state=str(state),
            reason=reason,
            endpoint=self._endpoint(),
            channels=_listed(channels),
        )

    def note_restored(self, channels: frozenset[str]) -> None:
        """Take note that LISTEN was undone by others, and is committed again."""
        self.log.warn(
            _RESTORED,
            name=self._name,
            endpoint=self._endpoint(),
            channels=_listed(channels) if channels else "the private channel of its probes",
        )


def _listed(channels: Iterable[str]) -> str:
    names = sorted(channels)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(map(repr, names[:_SHOWN])) or "none") + more
