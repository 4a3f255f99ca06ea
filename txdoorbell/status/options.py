"""The options of ``twistd doorbell`` for its status page, and the service that they make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.python import usage

if TYPE_CHECKING:
    from txdoorbell.doorbell import Doorbell
    from txdoorbell.status.service import StatusService

__all__ = ["TOKEN_VARIABLE", "StatusOptions"]

TOKEN_VARIABLE = "TXDOORBELL_STATUS_TOKEN"
"""The environment variable that may hold the token."""


def _endpoint(text: str) -> str:
    from txdoorbell.status.service import check_endpoint

    try:
        return check_endpoint(text)
    except ValueError as error:
        raise usage.UsageError(f"--status: {error}") from None


def _token_file(text: str) -> str:
    from txdoorbell.status.access import read_token

    try:
        return read_token(Path(text))
    except ValueError as error:
        raise usage.UsageError(f"--status-token-file: {error}") from None


class StatusOptions(usage.Options):
    """What can be said of the status page."""

    optParameters: list[Sequence[Any]] = [
        [
            "status",
            None,
            None,
            "Show the status at this endpoint, such as tcp:8765:interface=127.0.0.1 or "
            "unix:/run/doorbell.sock: a page, /status.json, /metrics, /healthz and /readyz.",
            _endpoint,
        ],
        [
            "status-token-file",
            None,
            None,
            "Who knows the token in this file may ring, run and mute on that page. "
            f"{TOKEN_VARIABLE} in the environment does the same.",
            _token_file,
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["status-host"] = []
        self["first-try"] = False

    def opt_status_host(self, name: str) -> None:
        """Answer to this name too, besides localhost and the addresses; or several: repeat it."""
        self["status-host"].append(name)

    def status_token(self) -> str | None:
        """
        Return the token, None where there is none.

        :raises UsageError: when the one in the environment can't be.
        """
        if self["status-token-file"] is not None:
            token: str = self["status-token-file"]
            return token
        given = os.environ.get(TOKEN_VARIABLE)
        if not given:
            return None
        from txdoorbell.status.access import check_token

        try:
            return check_token(given)
        except ValueError as error:
            raise usage.UsageError(f"{TOKEN_VARIABLE}: {error}") from None

    def add_status(
        self, reactor: Any, bell: Doorbell, configured: str | None, first_try: bool
    ) -> StatusService | None:
        """
        Give a doorbell its status page, if it is to have one.

        :param configured: an endpoint, where ``--status`` gives none.
        :param first_try: show it anyway.
        """
        endpoint = self["status"] or configured
        if endpoint is None and not first_try:
            return None
        from txdoorbell.status.service import StatusService

        page = StatusService(
            reactor,
            bell,
            endpoint,
            token=self.status_token(),
            hosts=self["status-host"],
        )
        page.setServiceParent(bell)
        return page
