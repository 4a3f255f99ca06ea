"""Watching channels: a line for each notification, on stdout."""

from __future__ import annotations

import json
import os
import select
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from queue import Empty, Full, Queue

from txdoorbell.notification import Hearable, State
from txdoorbell.payload import decode_payload

__all__ = ["LinePrinter", "Watcher", "as_json", "as_text"]

LIMIT = 10_000
"""Lines that are kept for a slow reader of our output."""


def as_text(heard: Hearable, now: datetime) -> str:
    """Return a notification as a line to read: nothing in it can command a terminal."""
    time = now.isoformat(" ", "milliseconds")
    return printable(f"{time}  {heard.channel}  {heard.pid}  {heard.payload}".rstrip())


def as_json(heard: Hearable, now: datetime) -> str:
    """Return a notification as one JSON object in ASCII; ``data`` is its payload decoded."""
    fields = {
        "time": now.isoformat(timespec="milliseconds"),
        "channel": heard.channel,
        "pid": heard.pid,
        "payload": heard.payload,
    }
    try:
        data = decode_payload(heard.payload)
        return json.dumps({**fields, "data": data}, allow_nan=False)
    except (TypeError, ValueError, RecursionError):  # Python's values, which JSON lacks
        return json.dumps({**fields, "data": heard.payload})


def printable(text: str) -> str:
    """Return a text with each character that isn't printable escaped as in Python."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


class Watcher:
    """
    The audience of a listener that shows what it hears.

    :param show: takes a line for each notification.
    :param tell: takes what is to be said beside: rings that were missed.
    :param form: makes the line.
    """

    def __init__(
        self,
        show: Callable[[str], None],
        tell: Callable[[str], None],
        form: Callable[[Hearable, datetime], str],
    ) -> None:
        self._show, self._tell, self._form = show, tell, form
        self._listened = False

    def notified(self, notification: Hearable) -> None:
        """Show a notification."""
        self._show(self._form(notification, datetime.now().astimezone()))

    def listening(self, channels: frozenset[str], fresh: bool) -> None:
        """Tell that something may have been missed, unless this is the beginning."""
        if fresh and self._listened:
            self._tell("listening again: what rang meanwhile was not heard, and is not shown")
        self._listened = True

    def state_changed(self, state: State, reason: str) -> None:
        """Leave it to the log, which tells it better."""


class LinePrinter:
    """
    Writes lines to a descriptor in a thread of its own.

    A reader that is slow, or a pager that waits, must not keep us from reading our socket: that
    would hold up the notification queue of the whole server. What can't be kept is dropped.

    :param descriptor: where to.
    :param gone: called once, in that thread, when nobody reads it any more.
    :param tell: called in the caller's thread when lines begin to be dropped.
    """

    def __init__(
        self, descriptor: int, gone: Callable[[], object], tell: Callable[[str], None]
    ) -> None:
        self._descriptor = descriptor
        self._gone = gone
        self._tell = tell
        self._lines: Queue[str | None] = Queue(LIMIT)
        self._dropped = 0
        self._encoding = sys.stdout.encoding or "utf-8"
        # A daemon: it may wait for its reader for ever.
        self._thread = threading.Thread(target=self._write_all, daemon=True, name="stdout")
        self._thread.start()

    def show(self, line: str) -> None:
        """Write a line, soon."""
        try:
            self._lines.put_nowait(line)
        except Full:
            self._dropped += 1
            if self._dropped == 1:
                self._tell(f"nobody reads fast enough: over {LIMIT} lines wait, and more are lost")
        else:
            if self._dropped and self._lines.qsize() == 1:
                self._tell(f"{self._dropped} lines were lost")
                self._dropped = 0

    def finish(self, within: float = 1.0) -> None:
        """Write what is left, if that can be done in so many seconds."""
        try:
            self._lines.put_nowait(None)
        except Full:
            return
        self._thread.join(within)

    def _write_all(self) -> None:
        try:
            while (line := self._next()) is not None:
                self._write(line.encode(self._encoding, "backslashreplace") + b"\n")
        except OSError:
            self._gone()

    def _next(self) -> str | None:
        """
        Wait for a line.

        :raises BrokenPipeError: when the reader has gone meanwhile, which would else show only by
            writing to it.
        """
        poll = select.poll()
        poll.register(self._descriptor, 0)
        while True:
            try:
                return self._lines.get(timeout=0.2)
            except Empty:
                if any(event & select.POLLERR for _, event in poll.poll(0)):
                    raise BrokenPipeError from None

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # somebody else has made it so, for a terminal that we share
                select.select([], [self._descriptor], [])
