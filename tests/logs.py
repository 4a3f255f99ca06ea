"""What was logged, in words."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel, formatEvent, globalLogPublisher


class LogMixin:
    """For test cases that look at the log."""

    _events: list[dict[str, Any]]

    def capture_logs(self: Any) -> None:
        """Keep every event from now on, to the end of the test."""
        self._events = []
        observe = self._events.append
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def logged_texts(self, level: LogLevel = LogLevel.warn) -> list[str]:
        """Return the text of each event of this level or worse."""
        return [
            formatEvent(event) for event in self._events if event.get("log_level", level) >= level
        ]
