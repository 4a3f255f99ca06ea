"""Notifications as an asynchronous iterator, bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from txdoorbell.loops.bridge import PortableDeferred
from txdoorbell.notification import Hearable, Notification
from txdoorbell.switchboard import Switchboard


class NotificationStream:
    """
    The notifications heard, for ``async for`` in one coroutine.

    Any coroutine will do: one that Twisted runs or a loop, or an asyncio task of your own.
    What its reader has not taken yet is kept, up to a limit. Past that the oldest is dropped, and a
    warning says so, once until the reader has caught up.

    :param limit: how many are kept.
    :param close: called once when the stream is closed.
    :ivar dropped: how many have been dropped so far.
    """

    log = Logger()

    def __init__(self, limit: int, close: Callable[[NotificationStream], None]) -> None:
        self.dropped = 0
        self._kept: deque[Notification] = deque(maxlen=limit)
        self._lagging = False
        self._reader: Deferred[Notification] | None = None
        self._close: Callable[[NotificationStream], None] | None = close

    def heard(self, notification: Hearable) -> None:
        """Take a notification in."""
        ours = Notification(notification.channel, notification.payload, notification.pid)
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.callback(ours)
            return
        if len(self._kept) == self._kept.maxlen:
            self._drop()
        self._kept.append(ours)

    def _drop(self) -> None:
        self.dropped += 1
        if not self._lagging:
            self._lagging = True
            self.log.warn(
                "a reader of notifications lags behind: the oldest of {limit} are dropped",
                limit=self._kept.maxlen,
            )

    def __aiter__(self) -> NotificationStream:
        """Return itself."""
        return self

    def __anext__(self) -> Deferred[Notification]:
        """
        Wait for the next notification.

        :returns: fails with ``StopAsyncIteration`` when the stream is closed and all has been read.
        :raises RuntimeError: when somebody waits already.
        """
        if self._kept:
            first = self._kept.popleft()
            self._lagging = self._lagging and bool(self._kept)
            return succeed(first)
        if self._reader is not None:
            raise RuntimeError("somebody waits for the next notification already")
        waiting: Deferred[Notification] = PortableDeferred(self._forget_reader)
        if self._close is None:
            waiting.errback(StopAsyncIteration())
        else:
            self._reader = waiting
        return waiting

    def _forget_reader(self, _: object) -> None:
        self._reader = None

    def close(self) -> None:
        """Hear no more. What is kept can still be read. Closing twice is closing once."""
        close, self._close = self._close, None
        if close is not None:
            close(self)
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.errback(StopAsyncIteration())


class Streams:
    """The streams of one switchboard that are open."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._open: list[NotificationStream] = []

    def open(self, channels: str | Iterable[str], limit: int) -> NotificationStream:
        """Return a new stream that hears these channels until it is closed."""
        stream = NotificationStream(limit, self._closed)
        self._switchboard.observe(stream.heard, channels)
        self._open.append(stream)
        return stream

    def close_all(self) -> None:
        """Close those that are open."""
        for stream in list(self._open):
            stream.close()

    def _closed(self, stream: NotificationStream) -> None:
        self._open.remove(stream)
        self._switchboard.unobserve(stream.heard)
