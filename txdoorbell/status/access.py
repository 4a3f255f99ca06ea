"""
Who may look, and who may act.

Whoever reaches the endpoint may look; only the endpoint protects that. Two things a browser must
not be made to do: to read for a page of somebody else's, which DNS rebinding tries (so the name in
``Host`` must be one of ours), and to act for one. To act takes a token in the header
``Authorization``. That is no cookie: browsers send those to every port of a host, and along with
requests that other pages make; this header a page of another origin can't even try to set, unless
we say that it may, which we never do.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

if TYPE_CHECKING:
    # twisted.web is 2 MB, and who has no page needs to check a token only.
    from twisted.web.http import Request

__all__ = ["SHORTEST_TOKEN", "Access", "check_token", "host_of", "read_token"]

SHORTEST_TOKEN = 16
"""Characters: what is shorter can be guessed."""

_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[^][:@/\s]+))(?::[0-9]*)?")

_log = Logger()

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "txdoorbell",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def check_token(token: str) -> str:
    """
    Return a token, when it is one.

    :raises ValueError: when it is too short, or can't stand in a header. It is not shown.
    """
    if len(token) < SHORTEST_TOKEN:
        raise ValueError(f"the token is too short: at least {SHORTEST_TOKEN} characters are needed")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token must be printable ASCII without spaces")
    return token


def read_token(path: Path) -> str:
    """
    Return the token that is in a file; warn of one that everybody can read.

    :raises ValueError: when it can't be read, or holds none, in one line that names the file.
    """
    try:
        if path.stat().st_mode & 0o004:
            _log.warn("{path} holds a token, and everybody on this machine can read it", path=path)
        return check_token(path.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: the token must be printable ASCII without spaces") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def host_of(header: str) -> str:
    """
    Return the host in a ``Host`` header, without its port and the brackets of IPv6.

    :returns: empty for what is no host, or no host with a port.
    """
    found = _HOST.fullmatch(header.strip().lower())
    return "" if found is None else (found["v6"] or found["name"]).removesuffix(".")


class Access:
    """
    Decides over requests.

    :param token: what those must know who act; None when nobody may.
    :param hosts: names under which the endpoint is known, besides its addresses and localhost.
    """

    def __init__(self, token: str | None, hosts: Iterable[str] = ()) -> None:
        self._token = None if token is None else token.encode()
        self._hosts = frozenset({"localhost", "127.0.0.1", "::1", *(h.lower() for h in hosts)})

    @property
    def can_act(self) -> bool:
        """Whether anybody may act."""
        return self._token is not None

    def refusal(self, request: Request) -> str | None:
        """Say why a request must not be answered at all; None when it may be."""
        host = request.getHeader("host")
        if host is not None and not self._is_ours(host_of(host), request.getHost()):
            return "this name is not one of the endpoint's; --status-host adds one"
        site, mode = request.getHeader("sec-fetch-site"), request.getHeader("sec-fetch-mode")
        if site in ("cross-site", "same-site") and mode != "navigate":
            return "requests from other sites are not answered"
        origin = request.getHeader("origin")
        if origin is not None and origin.partition("://")[2].lower() != (host or "").lower():
            return "the request comes from another origin"
        return None

    def _is_ours(self, name: str, address: IAddress) -> bool:
        local = getattr(address, "host", None)
        # A Unix socket has no host: no browser gets there by itself.
        return local is None or name in self._hosts or name == local.lower()

    def refusal_to_act(self, request: Request) -> str | None:
        """Say why a request that may be answered must not change anything; None when it may."""
        if request.getHeader("sec-fetch-site") not in (None, "same-origin", "none"):
            return "the request comes from another site"
        scheme, _, given = (request.getHeader("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not self._knows(given):
            return "the token is missing or wrong"
        return None

    def _knows(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(
            given.encode("utf-8", "replace"), self._token
        )
