"""
Loops: functions that run one at a time whenever they are rung.

The kinds of loop differ in who says which functions there are; see
:mod:`txdoorbell.loops.loopbase` for what they have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txdoorbell.loops.jobs import LoopStopped
from txdoorbell.loops.loopbase import LoopBase
from txdoorbell.processor import Handler, Processor, handler_processor

_AnyHandler = TypeVar("_AnyHandler", bound=Handler)


class Loop(LoopBase):
    """A loop whose functions are added and removed, at any time."""

    def _roll_call(self) -> None:
        return None

    def get_processors(self) -> Collection[Callable[..., object]]:
        """Return what was added and not removed, in order of adding."""
        return list(self._agenda.processors)  # type: ignore[arg-type]

    def add(
        self,
        processor: Callable[..., object],
        *,
        name: str | None = None,
        channels: str | Iterable[str] | None = None,
        tables: str | Iterable[str] | None = None,
        interested: Callable[[Any], object] | None = None,
        hint: Callable[[Any], object] | None = None,
        priority: int = 0,
        blocking: bool = False,
        timeout: float | None = None,
        budget: float | None = None,
        retry: bool | None = None,
    ) -> None:
        """
        Add a function; on a running loop it is due at once. Adding it twice is adding it once.

        :param processor: called without arguments, or by name with what it has a parameter for:
            ``budget``, a :class:`~txdoorbell.processor.TimeBudget`, and ``lease``, that by which
            the loop runs here (:class:`~txdoorbell.leadership.Lease`; None without a lock).
        :param name: what it is called in logs.
        :param channels: one or several; it is rung by notifications there only. None: by all,
            unless there are ``tables``.
        :param tables: one or several, named as in SQL; it is rung by changes of these, in place of
            all rings or in addition to ``channels``. For a loop of a doorbell.
        :param interested: says of a notification, or of a :class:`~txdoorbell.wal.TableChange`,
            whether it rings this function. When it fails, that is logged, and the function is rung.
        :param hint: told each notification that rings this function, at once, before the run.
        :param priority: the higher, the earlier in each run.
        :param blocking: run it in the reactor's thread pool.
        :param timeout: seconds after which it is cancelled; None: the loop's.
        :param budget: seconds of its budget; None: the loop's.
        :param retry: whether it is tried again after an error; None: the loop's.
        :raises TypeError: when it can't be called, or an option has the wrong type.
        :raises ValueError: when an option is out of range, or it is there with other options.
        """
        self._add(
            Processor(
                processor,
                name=name,
                channels=channels,
                tables=tables,
                interested=interested,
                hint=hint,
                priority=priority,
                blocking=blocking,
                timeout=timeout,
                budget=budget,
                retry=retry,
            )
        )

    def register(self, handler: _AnyHandler, *, blocking: bool | None = None) -> _AnyHandler:
        """
        Add a handler object, such as a subscription of depeche_db.

        :param handler: has the parts of :class:`~txdoorbell.processor.Handler`.
        :param blocking: whether its ``run`` goes to a thread; None asks its attribute ``blocking``,
            and without that it does.
        :returns: the handler, which :meth:`remove`,
            :meth:`~txdoorbell.loops.loopbase.LoopBase.mute` and
            :attr:`~txdoorbell.loops.loopbase.LoopBase.wakeups` know it by.
        :raises TypeError: when a part of the protocol is missing; the text names it.
        """
        self._add(handler_processor(handler, blocking))
        return handler

    def _add(self, processor: Processor) -> None:
        self._agenda.add(processor)
        self._channels_of(processor)
        self._runner.ring()

    def _channels_of(self, processor: Processor) -> None:
        if processor.channels is not None and self.on_channels is not None:
            self.on_channels()

    def remove(self, processor: Hashable) -> None:
        """
        Remove a function; it is not called again, though a call of it that is active goes on.

        :raises KeyError: when it has not been added.
        """
        removed = self._agenda.remove(processor)
        self._runner.wakeups.cancel(removed)
        self._runner.rearm()
        self._channels_of(removed)


class DelegateLoop(LoopBase):
    """
    A loop that asks somebody else for its functions, at each run.

    :param get_processors: returns them. A function is known by being equal: hand out the same ones,
        not new ones each time, or their wake-ups are lost.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        get_processors: Callable[[], Collection[Callable[..., object]]],
        **options: Any,
    ) -> None:
        super().__init__(reactor, **options)
        self._get_processors = get_processors

    def get_processors(self) -> Collection[Callable[..., object]]:
        """Ask for the functions."""
        return self._get_processors()


class MultiServiceLoop(LoopBase):
    """A loop that runs the method ``run`` of each of its child services."""

    def get_processors(self) -> Collection[Callable[..., object]]:
        """Return the ``run`` of each child service."""
        return [child.run for child in self]

    def addService(self, service: Any) -> None:
        """
        Add a child service; on a running loop its ``run`` is due at once.

        :raises TypeError: when it has no method ``run``.
        """
        if not callable(getattr(service, "run", None)):
            raise TypeError(f"{service!r} has no method run() for {self.name}")
        super().addService(service)
        self._children_changed()

    def removeService(self, service: Any) -> Deferred[Any] | None:
        """
        Remove a child service; its ``run`` is not called again.

        :returns: what its ``stopService`` returns.
        """
        stopping: Deferred[Any] | None = super().removeService(service)
        self._children_changed()
        return stopping

    def _children_changed(self) -> None:
        self._ask_processors()
        self._runner.ring()


__all__ = ["DelegateLoop", "Loop", "LoopBase", "LoopStopped", "MultiServiceLoop"]
