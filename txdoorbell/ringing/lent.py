"""What a doorbell lends from its parts, so that they need not be reached for."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from txdoorbell.loop import Loop
from txdoorbell.ringing.leaving import Leaving
from txdoorbell.switchboard import Switchboard

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


class _Lent(Generic[_Given, _Answer]):
    """
    A method of a part, as one of its owner.

    It stands in the class, where documentation, subclasses and ``super()`` look for it.
    """

    def __init__(self, part: str, method: Callable[Concatenate[Any, _Given], _Answer]) -> None:
        self._method = method
        self._bound = attrgetter(f"{part}.{method.__name__}")

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[Concatenate[Any, _Given], _Answer]: ...

    @overload
    def __get__(self, owner: object, kind: type) -> Callable[_Given, _Answer]: ...

    def __get__(self, owner: object, kind: type) -> Callable[..., _Answer]:
        found: Callable[..., _Answer] = self._method if owner is None else self._bound(owner)
        return found


class Lent:
    """The calls of a switchboard, of a first loop, and of what ends a service, as one's own."""

    add = _Lent("loop", Loop.add)
    register = _Lent("loop", Loop.register)
    remove = _Lent("loop", Loop.remove)
    trigger = _Lent("loop", Loop.trigger)
    subscribe = _Lent("switchboard", Switchboard.subscribe)
    unsubscribe = _Lent("switchboard", Switchboard.unsubscribe)
    mute_channels = _Lent("switchboard", Switchboard.mute_channels)
    unmute_channels = _Lent("switchboard", Switchboard.unmute_channels)
    mute_subscriber = _Lent("switchboard", Switchboard.mute_subscriber)
    unmute_subscriber = _Lent("switchboard", Switchboard.unmute_subscriber)
    subscribers = _Lent("switchboard", Switchboard.subscribers)
    muted_subscribers = _Lent("switchboard", Switchboard.muted_subscribers)
    muted_channels = _Lent("switchboard", Switchboard.muted_channels)
    non_muted_channels = _Lent("switchboard", Switchboard.non_muted_channels)
    when_stopped = _Lent("_leaving", Leaving.when_stopped)
    on_resign = _Lent("_leaving", Leaving.on_resign)
