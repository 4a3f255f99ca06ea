"""
How this process is to exit, where nobody asks us: twistd itself always exits with 0.

Import this before anything that registers functions with :mod:`atexit`: those registered later
than this module's are called before it.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning

from txdoorbell.doorbell import Doorbell

__all__ = ["RESIGNED", "exit_when_resigned", "exit_with", "wanted_status"]

RESIGNED = 1
"""The service has given up for good."""

_wanted = [0]


def exit_with(status: int) -> None:
    """
    Have the process exit with a status when it comes to its end, in whichever way.

    :param status: from 0 to 255; 0 takes an earlier call back.
    """
    _wanted[0] = status


def wanted_status() -> int:
    """Return the status of the last :func:`exit_with`; 0 when nobody wants one."""
    return _wanted[0]


def exit_when_resigned(reactor: Any, bell: Doorbell) -> None:
    """Stop the reactor when a doorbell gives up for good, and exit with :data:`RESIGNED`."""

    def resigned() -> None:
        exit_with(RESIGNED)
        with suppress(ReactorNotRunning):  # it is being stopped already
            reactor.stop()

    bell.on_resign(resigned)


def _leave() -> None:
    if _wanted[0]:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_wanted[0])


atexit.register(_leave)
