"""What configuration files of the tests name."""

from __future__ import annotations

from txdoorbell.notification import Notification


def process() -> None:
    """Do nothing, as a processing function."""


def other() -> None:
    """Do nothing, as another one."""


def wants(notification: Notification) -> bool:
    """Want every notification."""
    return True


class _Handler:
    notification_channel = "jobs"

    def interested_in_notification(self, payload: object) -> bool:
        """Want every one."""
        return True

    def take_notification_hint(self, payload: object) -> None:
        """Take none."""

    def run(self, budget: object) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


handler = _Handler()
