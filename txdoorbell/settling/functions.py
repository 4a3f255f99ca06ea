"""The functions of a configuration: imported, checked, and put into their loops."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from txdoorbell.loop import Loop
from txdoorbell.processor import Handler, Processor
from txdoorbell.settling.load import LoadError, load_object, load_processor
from txdoorbell.settling.settings import Function, LoopOptions, Settings

__all__ = ["Changes", "Loaded", "Plan", "Roster", "load_function", "loop_of"]

_FOR_HANDLERS = ("call", "loop", "blocking")
_IMPORTED = ("call", "interested", "hint")


@dataclass(frozen=True)
class Loaded:
    """
    A function with its options, ready to be added.

    :ivar loop: the name of its loop.
    :ivar processor: the function, or the handler object.
    :ivar options: for ``add``, or for ``register``.
    """

    loop: str
    processor: Hashable
    options: tuple[tuple[str, Any], ...]

    @property
    def is_handler(self) -> bool:
        """Whether it is an object that says itself what rings it."""
        return hasattr(self.processor, "notification_channel")

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that it names itself."""
        if self.is_handler:
            return (cast(Handler, self.processor).notification_channel,)
        return cast(tuple[str, ...], dict(self.options).get("channels", ()))

    @property
    def key(self) -> tuple[str, Hashable]:
        """What there may be one of only."""
        return self.loop, self.processor

    def add_to(self, loop: Loop) -> None:
        """Add it to its loop."""
        options = dict(self.options)
        if self.is_handler:
            loop.register(cast(Handler, self.processor), **options)
        else:
            loop.add(cast(Callable[..., object], self.processor), **options)


@dataclass(frozen=True)
class Plan:
    """
    Settings, and what they name.

    :ivar functions: imported, in order.
    :ivar on_idle: imported, if there is one.
    :ivar warnings: what is unwise about them, a line for each.
    """

    settings: Settings
    functions: tuple[Loaded, ...] = ()
    on_idle: Callable[[], object] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def channels(self) -> frozenset[str]:
        """All that is to be listened to."""
        settings = self.settings
        stop = () if settings.stop_channel is None else (settings.stop_channel,)
        named = (function.channels for function in self.functions)
        return frozenset(settings.channels).union(stop, *named)

    @property
    def tables(self) -> frozenset[str]:
        """All tables whose changes are to be heard."""
        named = (dict(function.options).get("tables", ()) for function in self.functions)
        return frozenset(self.settings.tables).union(*named)

    @property
    def locks(self) -> tuple[str, ...]:
        """The locks of its loops, in order; loops may share one."""
        locks = (loop.lock for loop in self.settings.loop if loop.lock is not None)
        return tuple(dict.fromkeys(locks))


def loop_of(function: Function, loops: Iterable[LoopOptions]) -> str:
    """Return the name of a function's loop: the first one where it names none."""
    if function.loop is not None:
        return function.loop
    return next((loop.name for loop in loops), LoopOptions().name)


def load_function(
    function: Function, settings: Settings, complain: Callable[[str, str], None]
) -> Loaded | None:
    """
    Import a function, and what its options name.

    :param complain: called with the key and with what is wrong with its value.
    :returns: None when something is wrong.
    """
    found: dict[str, Any] = {}
    for key in _IMPORTED:
        spec = getattr(function, key)
        if spec is None or (key == "call" and not spec):
            continue
        try:
            found[key] = load_processor(spec) if key == "call" else _load_callable(spec)
        except LoadError as error:
            complain(key, str(error))
    if "call" not in found:
        return None
    loaded = Loaded(loop_of(function, settings.loop), found["call"], ())
    options = dict(_options(function, found))
    wrong = _unfit(function, loaded, options)
    for key, text in wrong:
        complain(key, text)
    taken = {"blocking"} if loaded.is_handler else set(options)
    return Loaded(
        loaded.loop,
        loaded.processor,
        tuple((key, value) for key, value in options.items() if key in taken),
    )


def _load_callable(spec: str) -> object:
    found = load_object(spec)
    if not callable(found):
        raise LoadError(f"{spec}: it can't be called: it is of type {type(found).__name__}")
    return found


def _options(function: Function, found: Mapping[str, object]) -> Iterator[tuple[str, Any]]:
    """List the options that differ from those of a function that has none."""
    plain = Function()
    for key in Function.__dataclass_fields__:
        value = found.get(key) if key in _IMPORTED else getattr(function, key)
        if key not in ("call", "loop") and value != getattr(plain, key):
            yield key, value


def _unfit(
    function: Function, loaded: Loaded, options: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """List the options that are given to a handler object for nothing, and what add() refuses."""
    if loaded.is_handler:
        for key in options.keys() - set(_FOR_HANDLERS):
            yield key, f"{function.call} is a handler object, which says that itself"
        return
    try:
        Processor(cast(Callable[..., object], loaded.processor), **options)
    except (TypeError, ValueError) as error:
        yield "call", str(error)


class Changes(NamedTuple):
    """How many functions came, went, and were taken out and added again with other options."""

    added: int
    removed: int
    changed: int


class Roster:
    """
    Keeps loops supplied with the functions of a configuration.

    :param loops: by name; it may grow.
    """

    def __init__(self, loops: Mapping[str, Loop]) -> None:
        self._loops = loops
        self._present: dict[tuple[str, Hashable], Loaded] = {}

    def settle(self, wanted: Iterable[Loaded]) -> Changes:
        """Add and remove until the loops have these functions; those unchanged are not touched."""
        goal = {loaded.key: loaded for loaded in wanted}
        before = self._present
        gone = before.keys() - goal.keys()
        changed = {key for key in before.keys() & goal.keys() if before[key] != goal[key]}
        for key in gone | changed:
            self._loops[key[0]].remove(key[1])
        for key, loaded in goal.items():
            if key in changed or key not in before:
                loaded.add_to(self._loops[loaded.loop])
        self._present = goal
        return Changes(len(goal.keys() - before.keys()), len(gone), len(changed))
