"""Asking a doorbell that runs how it is: over TCP, or a Unix socket."""

from __future__ import annotations

import http.client
import json
import re
import socket
from typing import Any
from urllib.parse import urlsplit

__all__ = ["NotAnswered", "Where", "ask"]

_PATIENCE = 5.0
"""Seconds that an answer may take."""


class NotAnswered(Exception):
    """Nobody answered, or not as a doorbell does; the text says what happened."""


class Where:
    """
    Where a doorbell shows its status.

    :param text: an address such as ``http://127.0.0.1:8765/``, or the endpoint as the option
        ``--status`` has it: ``tcp:8765:interface=127.0.0.1`` or ``unix:/run/doorbell.sock``.
    :raises ValueError: when it is neither.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.socket: str | None = None
        self.host, self.port, self.path = "127.0.0.1", 80, "/"
        if text.startswith("http://"):
            self._read_url(text)
        else:
            self._read_endpoint(text)

    def _read_url(self, text: str) -> None:
        url = urlsplit(text)
        if not url.hostname:
            raise ValueError(f"{text!r} names no host")
        self.host, self.port = url.hostname, url.port or 80
        self.path = url.path if url.path.endswith("/") else f"{url.path}/"

    def _read_endpoint(self, text: str) -> None:
        kind, *rest = (re.sub(r"\\(.)", r"\1", part) for part in re.split(r"(?<!\\):", text))
        options = dict(part.split("=", 1) for part in rest if "=" in part)
        first = next((part for part in rest if "=" not in part), None)
        if kind == "unix" and (first or options.get("address")):
            self.socket = first or options["address"]
        elif kind in ("tcp", "tcp4", "tcp6") and (first or options.get("port", "")).isdigit():
            anywhere = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
            interface = options.get("interface", "::" if kind == "tcp6" else "")
            self.host = anywhere.get(interface, interface)
            self.port = int(first or options["port"])
        else:
            raise ValueError(
                f"{text!r} is neither an http:// address nor an endpoint: "
                "tcp:8765:interface=127.0.0.1 or unix:/run/doorbell.sock"
            )

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection that is made when it is used."""
        if self.socket is not None:
            return _UnixConnection(self.socket)
        return http.client.HTTPConnection(self.host, self.port, timeout=_PATIENCE)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(self._path)


def ask(where: Where) -> dict[str, Any]:
    """
    Ask for the status, blocking.

    :returns: what :meth:`txdoorbell.status.DoorbellStatus.as_dict` says there.
    :raises NotAnswered: when there is no answer in five seconds, or another one.
    """
    connection = where.connection()
    try:
        connection.request("GET", f"{where.path}status.json")
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.HTTPStatus.OK:
            said = content.decode("utf-8", "replace").strip()[:200]
            raise NotAnswered(f"{where.text} answers {answer.status} {answer.reason}: {said}")
        status = json.loads(content)
        if not isinstance(status, dict) or not {"listener", "loops"} <= status.keys():
            raise ValueError
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NotAnswered(f"{where.text} does not answer: {why}") from None
    except ValueError:
        raise NotAnswered(f"{where.text} is no doorbell") from None
    finally:
        connection.close()
    return status
