"""Ring a bell in PostgreSQL, and your Twisted code runs.

One function at a time, never missing a ring::

    from txdoorbell import Doorbell

    bell = Doorbell(reactor, "dbname=app", channels=["jobs"])
    bell.add(process_jobs)
    bell.setServiceParent(application)

The names below are imported when they are first used: importing this package
alone needs no PostgreSQL driver and installs no reactor.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txdoorbell.doorbell import Doorbell
    from txdoorbell.loop import DelegateLoop, Loop, LoopBase, LoopStopped, MultiServiceLoop
    from txdoorbell.notification import ListenerStopped, Notification
    from txdoorbell.processor import DONE_FOR_NOW, FOUND_WORK, WORK_REMAINING, TimeBudget

__all__ = [
    "DONE_FOR_NOW",
    "FOUND_WORK",
    "WORK_REMAINING",
    "DelegateLoop",
    "Doorbell",
    "ListenerStopped",
    "Loop",
    "LoopBase",
    "LoopStopped",
    "MultiServiceLoop",
    "Notification",
    "TimeBudget",
]

_MODULES = {
    "DONE_FOR_NOW": "processor",
    "FOUND_WORK": "processor",
    "WORK_REMAINING": "processor",
    "DelegateLoop": "loop",
    "Doorbell": "doorbell",
    "ListenerStopped": "notification",
    "Loop": "loop",
    "LoopBase": "loop",
    "LoopStopped": "loop",
    "MultiServiceLoop": "loop",
    "Notification": "notification",
    "TimeBudget": "processor",
}


if not TYPE_CHECKING:  # or every misspelt name would be one to a type checker

    def __getattr__(name: str) -> object:
        """Import a public name from its module, the first time that it is asked for."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names too, imported or not."""
    return sorted({*globals(), *__all__})
