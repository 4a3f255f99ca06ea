"""
What is due: rings taken in, coalesced, and handed out as runs.

This is data only; nothing is called from here but the users' ``interested`` and ``hint``.

A ring costs the same whether one or a million came before it: it sets a mark for everyone, or for
a channel. The marks are spread over the processors when a run begins.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter

from txdoorbell.loops.causes import INTERVAL, RECONNECT, REMAINING, RING, START, Cause
from txdoorbell.loops.choosing import takers
from txdoorbell.notification import Hearable
from txdoorbell.processor import Processor
from txdoorbell.walreading.changes import TableChange

_ORDER = attrgetter("order")


class Agenda:
    """
    The processors of one loop, which of them are due, and the numbers of the rings.

    :ivar rung: the number of the last ring.
    :ivar covered: the number of the last ring that a completed run has served.
    :ivar announced: how many rings were notifications, or asked for like one.
    :ivar announced_before_run: how many of these there were when the last run began.
    :ivar runs: how many runs began for each cause.
    """

    def __init__(self) -> None:
        self._processors: dict[Hashable, Processor] = {}
        self._added = 0
        self._in_order: Sequence[Processor] | None = ()
        self._plain: dict[str | None, dict[Processor, None]] = {}
        self._hearing: dict[str, Sequence[Processor]] = {}
        self._choosy: dict[str | None, dict[Processor, None]] = {}
        self._everyone: Cause | None = None
        self._channels: dict[str, None] = {}
        self._due: dict[Processor, Cause] = {}
        self._again: dict[Processor, None] = {}
        self._serving = 0
        self.rung = 0
        self.covered = 0
        self.announced = 0
        self.announced_before_run = 0
        self.runs: dict[Cause, int] = dict.fromkeys(Cause, 0)

    @property
    def processors(self) -> Mapping[Hashable, Processor]:
        """Those added and not removed, by what their user knows them by, in order of adding."""
        return self._processors

    @property
    def names(self) -> frozenset[str]:
        """The channels and tables that processors name."""
        indexes = chain(self._plain.items(), self._choosy.items())
        return frozenset(name for name, heard in indexes if name and heard)

    def add(self, processor: Processor) -> None:
        """
        Take in a processor, due at once. The same again, with the same options, changes nothing.

        :raises ValueError: when it is there already with other options.
        """
        known = self._processors.get(processor.key)
        if known is not None:
            if known.options == processor.options:
                return
            why = "has been added already, with other options: remove it first"
            raise ValueError(f"{processor.name} {why}")
        self._added += 1
        processor.order = (-processor.priority, self._added)
        self._processors[processor.key] = processor
        self._reorder()
        for index in self._indexes(processor):
            index[processor] = None
        self.make_due(processor, START)

    def remove(self, key: Hashable) -> Processor:
        """
        Take out a processor; it will not be handed out again.

        :raises KeyError: when there is none of that name.
        """
        processor = self._processors.pop(key)
        processor.removed = True
        self._reorder()
        self._due.pop(processor, None)
        self._again.pop(processor, None)
        for index in self._indexes(processor):
            del index[processor]
        return processor

    def replace(self, keys: Collection[Hashable]) -> Iterable[Processor]:
        """
        Make the processors those given, in that order: new ones are added, those missing removed.

        :returns: the ones that were removed.
        """
        wanted = dict.fromkeys(keys)
        removed = [self.remove(key) for key in list(self._processors) if key not in wanted]
        for key in [key for key in wanted if key not in self._processors]:
            self.add(Processor(key))  # type: ignore[arg-type]  # it checks that it is callable
        called = [self._processors[key] for key in wanted]
        if called != self._ordered():
            for processor, order in zip(called, sorted(map(_ORDER, called)), strict=True):
                processor.order = order
            self._reorder()
        return removed

    def _indexes(self, processor: Processor) -> list[dict[Processor, None]]:
        choosy = processor.interested is not None or processor.hint is not None
        table = self._choosy if choosy else self._plain
        channels = (None,) if processor.channels is None else processor.channels
        return [table.setdefault(channel, {}) for channel in channels]

    def ring(self, cause: Cause = RING) -> None:
        """Make everyone due."""
        self.rung += 1
        self.announced += cause is RING
        if self._everyone is None or cause < self._everyone:
            self._everyone = cause

    def ring_channels(self, channels: Iterable[str]) -> bool:
        """
        Make everyone due who hears one of these channels, whatever was said there.

        :returns: whether there is anyone.
        """
        tables = (self._plain, self._choosy)
        heard = [p for name in (None, *channels) for table in tables for p in table.get(name, ())]
        for processor in heard:
            self.make_due(processor, RECONNECT)
        self.rung += bool(heard)
        return bool(heard)

    def notified(self, notification: Hearable) -> bool:
        """
        Make those due who hear this notification, and give them its hint.

        :returns: whether there is anyone.
        """
        channel = notification.channel
        heard = bool(self._plain_on(channel))
        if heard:
            self._channels[channel] = None
        if self._choosy and self._offer(notification, channel):
            heard = True
        self.rung += heard
        self.announced += heard
        return heard

    def notified_all(self, channel: str, notifications: Sequence[Hearable]) -> bool:
        """Do as :meth:`notified` for each of several notifications of one channel."""
        if self._choosy and (self._choosy.get(None) or self._choosy.get(channel)):
            # Not any() alone: each of them is to be offered.
            return any(list(map(self.notified, notifications)))
        if not (self._hearing.get(channel) or self._plain_on(channel)):
            return False
        self._channels[channel] = None
        self.rung += len(notifications)
        self.announced += len(notifications)
        return True

    def changed(self, change: TableChange) -> bool:
        """Do as :meth:`notified` for the change of a table, by whichever name it is asked for."""
        rung = [table for table in change.asked_as if self._plain_on(table)]
        self._channels.update(dict.fromkeys(rung))
        self.rung += (heard := self._offer(change, *change.asked_as) or bool(rung))
        self.announced += heard
        return heard

    def _plain_on(self, channel: str) -> Sequence[Processor]:
        """Return, in order, those that every notification on a channel rings."""
        hearing = self._hearing.get(channel)
        if hearing is None:
            heard = {**self._plain.get(None, {}), **self._plain.get(channel, {})}
            self._hearing[channel] = hearing = sorted(heard, key=_ORDER)
        return hearing

    def _offer(self, notification: Hearable, *names: str) -> bool:
        heard = False
        for processor in takers(self._choosy, notification, names):
            self.make_due(processor, RING)
            heard = True
        return heard

    def make_due(self, processor: Processor, cause: Cause) -> None:
        """Make one processor due."""
        known = self._due.get(processor)
        if known is None or cause < known:
            self._due[processor] = cause

    def make_due_last(self, processor: Processor) -> None:
        """Make one processor due, after all others of the next run."""
        self._again[processor] = None

    @property
    def has_due(self) -> bool:
        """Whether a run would find anything to do, or a ring to cover."""
        return bool(self._everyone or self._due or self._channels or self._again)

    def due(self) -> list[Processor]:
        """Return those that the next run would call, in order."""
        first: Iterable[Processor] = ()
        if self._everyone is not None:
            first = self._ordered()
        elif self._due and not self._channels:
            first = sorted(self._due, key=_ORDER)
        elif self._due or len(self._channels) > 1:
            rung = {p for channel in self._channels for p in self._plain_on(channel)}
            first = sorted(rung.union(self._due), key=_ORDER)
        elif self._channels:
            first = self._plain_on(*self._channels)
        again = self._again
        if not again:
            return list(first)
        last = sorted(again, key=_ORDER) if len(again) > 1 else list(again)
        return [p for p in first if p not in again] + last if first else last

    def _reorder(self) -> None:
        self._in_order = None
        self._hearing.clear()

    def _ordered(self) -> Sequence[Processor]:
        if self._in_order is None:
            self._in_order = sorted(self._processors.values(), key=_ORDER)
        return self._in_order

    def begin_run(self) -> Sequence[Processor]:
        """Hand out all that is due, in order; what is rung from now on belongs to the next run."""
        run: Sequence[Processor]
        if len(self._channels) == 1 and not (self._everyone or self._due or self._again):
            # What nearly every notification comes to, and where its latency is made.
            run = self._plain_on(self._channels.popitem()[0])
            for processor in run:
                processor.cause = RING
            self.runs[RING] += bool(run)
        else:
            run = self.due()
            self._tell_causes(run)
            self.forget()
        self._serving = self.rung
        self.announced_before_run = self.announced
        return run

    def _tell_causes(self, run: Sequence[Processor]) -> None:
        if not run:
            return
        cause = RING if self._everyone is RING else self._common_cause()
        first = cause or self._everyone or INTERVAL
        for processor in run:
            processor.cause = first
        if cause is None:
            self._tell_several()
            cause = min(processor.cause for processor in run)
        self.runs[cause] += 1

    def _common_cause(self) -> Cause | None:
        """Return why everything is due; None where there are several causes."""
        if not (self._everyone or self._due or self._again):
            return RING
        causes = set(self._due.values())
        if self._everyone is not None:
            causes.add(self._everyone)
        if self._channels:
            causes.add(RING)
        if self._again:
            causes.add(REMAINING)
        return causes.pop() if len(causes) == 1 else None

    def _tell_several(self) -> None:
        for processor in self._again:
            processor.cause = min(self._everyone or REMAINING, REMAINING)
        for processor, cause in self._due.items():
            processor.cause = min(processor.cause, cause)
        for processor in chain.from_iterable(map(self._plain_on, self._channels)):
            processor.cause = RING

    def end_run(self) -> None:
        """Count every ring up to the beginning of this run as covered."""
        self.covered = self._serving

    def forget(self) -> None:
        """Let nothing be due."""
        self._everyone = None
        self._channels.clear()
        self._due.clear()
        self._again.clear()
        self.cut()

    def cut(self) -> None:
        """Let the run that is under way serve no ring."""
        self._serving = self.covered
