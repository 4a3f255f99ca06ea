"""
A handler object, for depeche_db and for us.

Single notifications are measured where a user's work begins, in ``run()``; a storm where each
notification is heard, in ``take_notification_hint()``.
"""

from __future__ import annotations

from typing import Any

from benchmarks.record import CHANNEL, Record, Wakes


class Handler:
    """Keeps the last hint for the run that comes of it."""

    notification_channel = CHANNEL

    def __init__(self, record: Record) -> None:
        self._hear = record.hearer()
        self._last: Any = None
        self._at_once = not isinstance(record, Wakes)

    def interested_in_notification(self, payload: Any) -> bool:
        """Be interested always."""
        return True

    def take_notification_hint(self, payload: Any) -> None:
        """Remember, for the run."""
        if self._at_once:
            self._hear(payload)
        else:
            self._last = payload

    def run(self, budget: object) -> None:
        """Note what this run is for; some are for nothing."""
        last, self._last = self._last, None
        if last is not None:
            self._hear(last)

    def stop(self) -> None:
        """Do nothing."""
