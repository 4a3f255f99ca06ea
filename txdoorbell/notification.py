"""
A notification: what PostgreSQL delivers, its rules, and who passes it on to whom.

:class:`Source` is where notifications come from, :class:`Audience` is whom a source tells. Both
sides of that border know this module only.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from twisted.internet.defer import Deferred

from txdoorbell.payload import decode_payload

__all__ = [
    "CHANNEL_LIMIT",
    "PAYLOAD_LIMIT",
    "Audience",
    "GroupAudience",
    "Hearable",
    "ListenerStopped",
    "Nobody",
    "Notification",
    "Source",
    "State",
    "check_channel",
    "check_channels",
    "check_payload",
    "decode_payload",
    "quote_identifier",
]

CHANNEL_LIMIT = 63
"""The longest channel name, in bytes of UTF-8. PostgreSQL would cut a longer one silently."""

PAYLOAD_LIMIT = 7999
"""The longest payload, in bytes of UTF-8. PostgreSQL fails a statement that sends a longer one."""


class Hearable(Protocol):
    """What can be heard: a :class:`Notification`, and psycopg2's ``Notify`` as it is."""

    @property
    def channel(self) -> str:
        """The channel it came on."""

    @property
    def payload(self) -> str:
        """Its text, empty for none."""

    @property
    def pid(self) -> int:
        """The process id of the server's backend that sent it."""


class Notification(NamedTuple):
    """One NOTIFY as it was delivered, immutable."""

    channel: str
    payload: str = ""
    pid: int = 0

    @property
    def data(self) -> object:
        """The payload as a native value, by :func:`decode_payload`: never raises."""
        return decode_payload(self.payload)


def check_channel(name: str) -> str:
    """
    Return a channel's name, when PostgreSQL would take it whole.

    :raises TypeError: when it isn't a str; bytes aren't either.
    :raises ValueError: when it is empty, is longer than :data:`CHANNEL_LIMIT`, has a NUL or
        can't be encoded.
    """
    size = _size("channel", name)
    if size == 0:
        raise ValueError(f"channel {name!r} is empty: 1 to {CHANNEL_LIMIT} bytes are allowed")
    if size > CHANNEL_LIMIT:
        raise ValueError(
            f"channel {name[:80]!r} has {size} bytes of UTF-8, over the limit of {CHANNEL_LIMIT}"
        )
    return name


def check_channels(names: str | Iterable[str]) -> tuple[str, ...]:
    """
    Return names as :func:`check_channel` does, each once, in order.

    :param names: one str, which is one name, or several.
    :raises TypeError: for a name that isn't a str.
    :raises ValueError: for a name that PostgreSQL would not take whole.
    """
    if isinstance(names, str | bytes | bytearray):
        return (check_channel(names),)
    return tuple(dict.fromkeys(map(check_channel, names)))


def check_payload(text: str) -> str:
    """
    Return a payload, when PostgreSQL would send it.

    :raises TypeError: when it isn't a str; bytes aren't either.
    :raises ValueError: when it is longer than :data:`PAYLOAD_LIMIT`, has a NUL or can't be
        encoded.
    """
    size = _size("payload", text)
    if size > PAYLOAD_LIMIT:
        raise ValueError(
            f"payload {text[:40]!r}... has {size} bytes of UTF-8, over the limit of {PAYLOAD_LIMIT}"
        )
    return text


def _size(what: str, text: str) -> int:
    """Return the bytes of UTF-8 in a text that PostgreSQL can take."""
    if not isinstance(text, str):
        raise TypeError(f"{what} {repr(text)[:80]} must be a str, not {type(text).__name__}")
    if "\0" in text:
        raise ValueError(f"{what} {text[:80]!r} has a NUL, which PostgreSQL can't take")
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} {text[:80]!r} can't be encoded as UTF-8: {error.reason}"
        ) from None


def quote_identifier(name: str) -> str:
    """
    Quote a name for SQL, so that its case and every character in it are kept.

    The name is not checked: a channel is passed through :func:`check_channel` first.
    """
    return '"' + name.replace('"', '""') + '"'


class State(StrEnum):
    """What a source is doing. Only :attr:`LISTENING` is healthy."""

    STOPPED = "stopped"
    """Not started, or stopped: nothing is heard and nothing is tried."""
    CONNECTING = "connecting"
    """A session is being made; LISTEN isn't committed yet."""
    LISTENING = "listening"
    """LISTEN is committed on a live session."""
    DEAF = "deaf"
    """The session seems alive, but a probe sent to it is overdue or lost."""
    WAITING = "waiting"
    """The session is gone, and the next attempt is put off for a while."""


class ListenerStopped(Exception):
    """The source was stopped before it could do what was asked."""


class Audience(Protocol):
    """Whom a :class:`Source` tells what it hears and how it is. None of these may raise."""

    def notified(self, notification: Hearable) -> None:
        """Take a notification, at once and in the order of commit."""

    def listening(self, channels: frozenset[str], fresh: bool) -> None:
        """
        Learn that LISTEN for these channels has just been committed.

        Rings from before it may be lost: catch up.

        :param channels: those of this LISTEN; all that are wanted, perhaps none, when ``fresh``.
        :param fresh: whether the session is a new one.
        """

    def state_changed(self, state: State, reason: str) -> None:
        """
        Learn of a change of state, once for each.

        :param reason: the cause in words, with no password in it; empty for none.
        """


class Nobody:
    """The audience of a source that has none yet."""

    def notified(self, notification: Hearable) -> None:
        """Do nothing."""

    def listening(self, channels: frozenset[str], fresh: bool) -> None:
        """Do nothing."""

    def state_changed(self, state: State, reason: str) -> None:
        """Do nothing."""


@runtime_checkable
class GroupAudience(Audience, Protocol):
    """An audience that is told in one call what one channel has in a row: for the sake of speed."""

    def notified_all(self, channel: str, notifications: Iterable[Hearable]) -> None:
        """
        Take several notifications of one channel, that came in a row, as if one by one.

        :param notifications: in the order of commit. It can be gone through once, and ends early
            when the session is ended meanwhile.
        """

    def heard_all(self) -> None:
        """Learn that all that came at once has been told: now it may be acted on, at once."""


class Source(Protocol):
    """
    Where notifications come from: a Twisted service, such as the listener.

    The audience is called from the reactor, never from inside a call that the audience makes here:
    neither side need be re-entrant.
    """

    @property
    def state(self) -> State:
        """What the source is doing now."""

    def report_to(self, audience: Audience) -> None:
        """Take the one audience, before the service is started."""

    def set_channels(self, channels: Iterable[str]) -> None:
        """
        Want these channels and no others; LISTEN and UNLISTEN follow on the live session.

        :raises TypeError: for a name that is no str.
        :raises ValueError: for a name that :func:`check_channel` refuses; then nothing is changed.
        """

    def when_listening(self) -> Deferred[None]:
        """
        Return a fresh Deferred that fires once LISTEN is committed for every wanted channel.

        It fails with :exc:`ListenerStopped` when the source is stopped first.
        """

    def notify(self, channel: str, payload: str = "") -> Deferred[None]:
        """
        Ring a channel; the Deferred fires once the NOTIFY is committed.

        :raises TypeError: for a channel or payload that is no str.
        :raises ValueError: for a channel or payload that PostgreSQL would not take.
        """

    def probe(self) -> Deferred[float]:
        """
        Ring this source's own private channel.

        The Deferred has the seconds until the ring was heard, and fails when it wasn't.
        """

    def startService(self) -> None:
        """Begin to listen, and go on for ever."""

    def stopService(self) -> Deferred[None] | None:
        """Stop; afterwards no descriptor, delayed call or reader is left."""

    def setServiceParent(self, parent: object) -> None:
        """Become a child of a service collection."""

    def disownServiceParent(self) -> object:
        """Leave the service collection."""
