"""The page as a whole, and its rendering."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.template import Tag, flattenString, tags

from txdoorbell.status.figures import clean, clock
from txdoorbell.status.history import History
from txdoorbell.status.model import DoorbellStatus
from txdoorbell.status.parts import live

__all__ = ["render_live", "render_page"]


def render_live(status: DoorbellStatus, history: History, can_act: bool) -> str:
    """Return the part of the page that changes, as HTML."""
    return _flatten(live(status, history, can_act)).decode()


def render_page(status: DoorbellStatus, history: History, can_act: bool) -> bytes:
    """Return the whole page, which shows this status and keeps it up to date with JavaScript."""
    name = clean(status.name, 80)
    body = tags.body(
        _header(name, status.now, can_act),
        tags.p(id="lost", role="alert", hidden="hidden"),
        live(status, history, can_act),
        tags.output(id="said", role="status"),
        _footer(),
    )
    return b"<!DOCTYPE html>\n" + _flatten(tags.html(_head(name), body, lang="en"))


def _head(name: str) -> Tag:
    return tags.head(
        tags.meta(charset="utf-8"),
        tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.meta(name="color-scheme", content="light dark"),
        tags.title(f"{name} – txdoorbell"),
        tags.link(rel="icon", href="bell.svg", type="image/svg+xml"),
        tags.link(rel="stylesheet", href="page.css"),
        tags.script(src="page.js", defer="defer"),
    )


def _header(name: str, now: float, can_act: bool) -> Tag:
    return tags.header(
        tags.h1(tags.img(src="bell.svg", alt="", width="28", height="28"), name),
        tags.p(
            tags.span(f"as of {clock(now)}", id="pace"),
            tags.noscript(" (reload for a newer state)"),
            class_="pace",
        ),
        *([_login()] if can_act else []),
    )


def _login() -> Tag:
    field = tags.input(
        type="password",
        name="token",
        id="token",
        placeholder="token",
        autocomplete="off",
        required="required",
    )
    label = tags.label("Token", **{"for": "token"}, class_="unseen")
    return tags.form(
        label,
        field,
        tags.button("Unlock actions", type="submit", class_="enter"),
        tags.button("Lock actions", type="button", class_="leave"),
        id="login",
        method="post",
        action="token",
    )


def _footer() -> Tag:
    links = ("status.json", "metrics", "healthz", "readyz")
    return tags.footer(
        "txdoorbell",
        tags.nav(
            *(tags.a(link, href=link) for link in links),
            **{"aria-label": "For machines"},
        ),
    )


def _flatten(tag: Tag) -> bytes:
    """Flatten what waits for nothing."""
    results: list[Any] = []
    flattened: Deferred[bytes] = flattenString(None, tag)
    flattened.addBoth(results.append)
    if isinstance(results[0], Failure):
        results[0].raiseException()
    flat: bytes = results[0]
    return flat
