"""
What systemd, or another supervisor that speaks its protocol, is told by a service.

The protocol is one datagram of ``NAME=value`` lines for each message. The libraries for it are a
build against libsystemd, or block and raise where the supervisor's socket is full or gone; a
doorbell's reactor must do neither.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from twisted.logger import Logger

__all__ = ["Supervisor"]


class Supervisor:
    """
    Whoever listens on ``NOTIFY_SOCKET``.

    :param address: a path, or a name of Linux' abstract namespace after ``@``.
    :ivar watchdog: seconds within which it wants a sign of life; None when it doesn't.
    """

    log = Logger()

    def __init__(self, address: str, watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._silent = False

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Supervisor | None:
        """Return this process's supervisor; None when it has none."""
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return None
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environ.get("WATCHDOG_USEC", "")
        watched = ours and microseconds.isdecimal() and int(microseconds) > 0
        return cls(address, int(microseconds) / 1e6 if watched else None)

    def tell(self, **values: object) -> None:
        """
        Send a message, without waiting. That it can't be sent is logged, the first time.

        :param values: such as ``READY=1``; each becomes one line.
        """
        lines = (f"{name}={' '.join(str(value).split())}" for name, value in values.items())
        message = "\n".join(lines).encode("utf-8", "replace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(message, self._address)
        except OSError as error:
            if not self._silent:
                self._silent = True
                self.log.warn("the supervisor can't be told anything: {error}", error=error)
