"""Those who watch: their connections stay open, and they are told what is new."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from twisted.web.http import Request
from zope.interface import implementer

__all__ = ["Viewers"]

MOST = 50
"""How many may watch at a time."""


@implementer(IPushProducer)
class _Viewer:
    """One who watches; while the connection is full, what is new is left out."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._full = False
        request.registerProducer(self, True)

    def tell(self, event: bytes) -> None:
        if not self._full:
            self._request.write(event)

    def end(self) -> None:
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False

    def stopProducing(self) -> None:
        self._full = True


class Viewers:
    """
    Tells all who watch.

    :param watched: called with whether anybody does, when the first comes and the last has gone.
    """

    def __init__(self, watched: Callable[[bool], None]) -> None:
        self._watched = watched
        self._viewers: dict[Request, _Viewer] = {}

    @property
    def full(self) -> bool:
        """Whether there is no room for another one."""
        return len(self._viewers) >= MOST

    def add(self, request: Request) -> None:
        """Begin to tell one what is new, as server-sent events."""
        request.setHeader("Content-Type", "text/event-stream; charset=utf-8")
        request.setHeader("X-Accel-Buffering", "no")
        request.write(b"retry: 1000\n\n")
        request.notifyFinish().addBoth(lambda _: self._gone(request))
        self._viewers[request] = _Viewer(request)
        self._watched(True)

    def tell(self, data: str) -> None:
        """Tell all the same, which has no line breaks."""
        event = f"data: {data}\n\n".encode()
        for viewer in tuple(self._viewers.values()):
            viewer.tell(event)

    def end(self) -> None:
        """Let all go."""
        for viewer in tuple(self._viewers.values()):
            viewer.end()

    def _gone(self, request: Request) -> None:
        self._viewers.pop(request, None)
        if not self._viewers:
            self._watched(False)
