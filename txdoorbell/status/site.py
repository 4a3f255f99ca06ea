"""The status over HTTP: what there is at which path, and under which conditions."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.server import Request as SiteRequest

from txdoorbell.doorbell import Doorbell
from txdoorbell.status.access import HEADERS, Access
from txdoorbell.status.actions import Actions, NotDone
from txdoorbell.status.figures import clock
from txdoorbell.status.metrics import CONTENT_TYPE, exposition
from txdoorbell.status.model import DoorbellStatus
from txdoorbell.status.page import render_live, render_page
from txdoorbell.status.pulse import Pulse
from txdoorbell.status.viewers import Viewers

__all__ = ["StatusResource", "StatusSite"]

_ASSETS = {
    "bell.svg": "image/svg+xml",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}
_LONGEST_FORM = 64 * 1024
"""Bytes: more than the longest channel and payload take, however they are quoted."""

_TEXT = "text/plain; charset=utf-8"

Answer = tuple[int, str, str | bytes]
"""The HTTP status, the type of the content, the content."""


class StatusResource(Resource):
    """
    The status of a doorbell, and what may be done to it.

    :param access: decides who may.
    """

    isLeaf = True

    def __init__(self, reactor: IReactorTime, bell: Doorbell, access: Access) -> None:
        super().__init__()
        self._access = access
        self._actions = Actions(bell).by_name if access.can_act else {}
        self._pulse = Pulse(reactor, bell, self._show)
        self._viewers = Viewers(self._pulse.watch)
        self._pages: dict[str, Callable[[], Answer]] = {
            "": self._page,
            "status.json": self._json,
            "metrics": self._metrics,
            "healthz": self._health,
            "readyz": self._readiness,
        }

    def start(self) -> None:
        """Begin to look at the doorbell."""
        self._pulse.start()

    def stop(self) -> None:
        """Look no more, and end the connections of those who watch."""
        self._viewers.end()
        self._pulse.stop()

    def render(self, request: Request) -> Any:
        """Answer a request."""
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        refusal = self._access.refusal(request)
        if refusal is not None:
            return _send(request, (http.FORBIDDEN, _TEXT, refusal))
        if getattr(request, "too_long", False):
            return _send(request, (http.REQUEST_ENTITY_TOO_LARGE, _TEXT, "that is too long"))
        path = request.path.decode("latin-1").removeprefix("/")
        if path in self._actions:
            return self._act(request, path)
        if path not in self._pages and path not in _ASSETS and path != "events":
            return _send(request, (http.NOT_FOUND, _TEXT, "there is nothing here"))
        if request.method not in (b"GET", b"HEAD"):
            return _not_allowed(request, "GET, HEAD")
        if path == "events":
            return self._events(request)
        return _send(request, self._pages[path]() if path in self._pages else _asset(path))

    # -- pages

    def _look(self) -> DoorbellStatus:
        return self._pulse.look(eventful=False)

    def _page(self) -> Answer:
        page = render_page(self._look(), self._pulse.history, self._access.can_act)
        return http.OK, "text/html; charset=utf-8", page

    def _json(self) -> Answer:
        return http.OK, "application/json", json.dumps(self._look().as_dict(), indent=1) + "\n"

    def _metrics(self) -> Answer:
        try:
            return http.OK, CONTENT_TYPE, exposition(self._look(), self._pulse.history)
        except ImportError:
            why = "metrics need prometheus-client: pip install 'txdoorbell[status]'"
            return http.NOT_IMPLEMENTED, _TEXT, why

    def _health(self) -> Answer:
        return _verdict(self._look().sick)

    def _readiness(self) -> Answer:
        return _verdict(self._look().unready)

    # -- those who watch

    def _events(self, request: Request) -> Any:
        if self._viewers.full:
            return _send(request, (http.SERVICE_UNAVAILABLE, _TEXT, "too many watch already"))
        if request.method == b"HEAD":
            return _send(request, (http.OK, "text/event-stream; charset=utf-8", ""))
        self._viewers.add(request)
        return NOT_DONE_YET

    def _show(self, status: DoorbellStatus) -> None:
        html = render_live(status, self._pulse.history, self._access.can_act)
        self._viewers.tell(json.dumps({"at": clock(status.now), "html": html}))

    # -- acting

    def _act(self, request: Request, name: str) -> Any:
        if request.method != b"POST":
            return _not_allowed(request, "POST")
        refusal = self._access.refusal_to_act(request)
        if refusal is not None:
            return _send(request, (http.FORBIDDEN, _TEXT, refusal))
        try:
            doing = self._actions[name](lambda field: _field(request, field))
        except NotDone as error:
            return _send(request, (http.BAD_REQUEST, _TEXT, str(error)))
        gone: list[object] = []
        request.notifyFinish().addBoth(gone.append)

        def answer(result: str | Failure) -> None:
            if not gone:
                _send(request, _done(result))

        doing.addBoth(answer)
        return NOT_DONE_YET


class _Request(SiteRequest):
    """
    A request of which no more is kept than a form needs: nobody need hold a token to send one.

    :ivar too_long: whether there was more.
    """

    too_long = False
    _length = 0

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body."""
        self._length += len(data)
        self.too_long = self._length > _LONGEST_FORM
        if not self.too_long:
            super().handleContentChunk(data)


class StatusSite(Site):
    """A site that logs no requests, and sets no timer for that; Twisted's sets one each second."""

    noisy = False
    requestFactory = _Request

    def startFactory(self) -> None:
        """Do without a log."""

    def stopFactory(self) -> None:
        """Do without a log."""

    def log(self, request: Request) -> None:
        """Log nothing: those who watch ask often."""


def _verdict(reasons: tuple[str, ...]) -> Answer:
    if not reasons:
        return http.OK, _TEXT, "ok\n"
    return http.SERVICE_UNAVAILABLE, _TEXT, "".join(f"{reason}\n" for reason in reasons)


def _asset(name: str) -> Answer:
    return http.OK, _ASSETS[name], (files(__package__) / "assets" / name).read_bytes()


def _field(request: Request, name: str) -> str:
    values: list[bytes] = (request.args or {}).get(name.encode(), [b""])
    try:
        return values[0].decode()
    except UnicodeDecodeError:
        raise NotDone(f"{name} is not UTF-8") from None


def _done(result: str | Failure) -> Answer:
    if isinstance(result, Failure):
        return http.BAD_GATEWAY, _TEXT, f"Not done: {result.getErrorMessage()}"
    return http.OK, _TEXT, result


def _not_allowed(request: Request, methods: str) -> Any:
    request.setHeader("Allow", methods)
    return _send(request, (http.NOT_ALLOWED, _TEXT, f"only {methods} here"))


def _send(request: Request, answer: Answer) -> Any:
    status, content_type, content = answer
    body = content.encode("utf-8", "replace") if isinstance(content, str) else content
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()
    return NOT_DONE_YET
