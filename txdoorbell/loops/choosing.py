"""Asking users' code whether a notification rings a function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from twisted.python import log

from txdoorbell.notification import Hearable, Notification
from txdoorbell.processor import Processor
from txdoorbell.walreading.changes import TableChange

__all__ = ["takers"]


def takers(
    index: Mapping[str | None, Iterable[Processor]], notification: Hearable, names: Iterable[str]
) -> Iterator[Processor]:
    """
    Ask those who choose, and yield those who take it, each at once.

    :param index: who is to be asked, by channel or table; those of None are asked of everything.
    :param names: the channel that it came on, or the tables.
    """
    asked = dict.fromkeys(chain.from_iterable(index.get(name, ()) for name in (None, *names)))
    if asked and not isinstance(notification, Notification | TableChange):
        notification = Notification(notification.channel, notification.payload, notification.pid)
    for processor in asked:
        if not processor.removed and _takes(processor, notification):
            yield processor


def _takes(processor: Processor, notification: Hearable) -> bool:
    """Ask ``interested``, tell ``hint``. When either fails the processor is rung: miss none."""
    try:
        if processor.interested is not None and not processor.interested(notification):
            return False
        if processor.hint is not None:
            processor.hint(notification)
    except BaseException:  # noqa: BLE001 - the user's code
        log.err(None, f"{processor.name}: interested or hint failed; it is rung")
    return True
