"""
A log in JSON, for machines: an object for each event, on a line of its own.

Twisted's ``jsonFileLogObserver`` writes them. What it leaves to its readers, the text of an event
and the traceback of an error, is put beside the rest as ``text``.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from typing import Any, TextIO, cast

from twisted.application.service import IService, MultiService
from twisted.logger import ILogObserver, LogEvent, eventAsText, jsonFileLogObserver
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile
from zope.interface import provider

__all__ = ["JsonLogged", "observer"]


class JsonLogged(MultiService):
    """
    A service whose application logs in JSON.

    An observer that ``twistd --logger`` names goes before it.

    :param service: becomes the one child.
    :param given: twistd's own options: where the log goes to.
    """

    def __init__(self, service: IService, given: Mapping[str, Any]) -> None:
        super().__init__()
        service.setServiceParent(self)
        self._given = given

    def setServiceParent(self, parent: Any) -> None:
        """Become a part of an application, and say how that is to log."""
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, observer(_destination(self._given)))
        super().setServiceParent(parent)


def observer(file: TextIO | None = None) -> ILogObserver:
    """
    Return a log observer that writes lines of JSON.

    It has what ``twistd --logger`` needs, for other services than ``doorbell``:
    ``twistd -n --logger=txdoorbell.process.jsonlog.observer ...``

    :param file: None for stdout.
    """
    write = jsonFileLogObserver(file or sys.stdout, recordSeparator="")

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        shown = eventAsText(event, includeTimestamp=False, includeSystem=False)
        write({**event, "text": shown})

    return cast(ILogObserver, observe)


def _destination(given: Mapping[str, Any]) -> TextIO:
    """Return what twistd itself would log to."""
    name = given.get("logfile") or ""
    if name == "-" and not given.get("nodaemon"):
        raise SystemExit("twistd doorbell: a daemon can't log to stdout")
    if name in ("", "-") and given.get("nodaemon"):
        return sys.stdout
    file = LogFile.fromFullPath(name or "twistd.log")
    _rotate_when_told(file)
    return cast(TextIO, file)


def _rotate_when_told(file: LogFile) -> None:
    """Rotate the file at SIGUSR1, as twistd does with a log of its own."""
    if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:

        def rotate(*_: object) -> None:
            from twisted.internet import reactor

            cast(Any, reactor).callFromThread(file.rotate)

        signal.signal(signal.SIGUSR1, rotate)
