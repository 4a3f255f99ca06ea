"""Asking users' code whether a notification rings a function."""

from __future__ import annotations

from twisted.python import log

from txdoorbell.notification import Notification
from txdoorbell.processor import Processor


def takes(processor: Processor, notification: Notification) -> bool:
    """Ask ``interested``, tell ``hint``. When either fails the processor is rung: miss none."""
    try:
        if processor.interested is not None and not processor.interested(notification):
            return False
        if processor.hint is not None:
            processor.hint(notification)
    except BaseException:  # noqa: BLE001 - the user's code
        log.err(None, f"{processor.name}: interested or hint failed; it is rung")
    return True
