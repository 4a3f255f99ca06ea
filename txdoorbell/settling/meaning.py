"""Whether settings make sense together, and whether what they name can be imported."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from txdoorbell.settling.credentials import has_password
from txdoorbell.settling.functions import Loaded, load_function, loop_of
from txdoorbell.settling.load import LoadError, load_object
from txdoorbell.settling.settings import Function, LoopOptions, Settings
from txdoorbell.settling.shape import Problem
from txdoorbell.settling.tomllines import KeyPath

__all__ = ["Meaning", "check_meaning"]


@dataclass
class Meaning:
    """What settings come to, beside themselves."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    functions: tuple[Loaded, ...] = ()
    on_idle: Any = None


def check_meaning(settings: Settings, spoilt: Sequence[KeyPath]) -> Meaning:
    """
    Check what no key can be checked for alone, and import what the settings name.

    :param spoilt: the keys that are known to be wrong; they are not complained of again.
    """
    meaning = Meaning()
    _check_database(settings, meaning)
    _check_times(settings, meaning)
    _check_loops(settings.loop, meaning)
    _check_locks(settings, meaning)
    _load_on_idle(settings, meaning)
    _load_functions(settings, meaning)
    meaning.problems = [
        problem for problem in meaning.problems if not _follows(problem.path, spoilt)
    ]
    if not settings.function:
        meaning.warnings.append("there is no [[function]]: nothing will run")
    return meaning


def _follows(path: KeyPath, spoilt: Sequence[KeyPath]) -> bool:
    """Say whether something is wrong with a key only because something else is."""
    return any(path[: len(known)] == known or _rests(path, known) for known in spoilt)


def _rests(path: KeyPath, known: KeyPath) -> bool:
    if path[0] == "function":
        return path[2] == "loop" and known[0] == "loop" and known[2:] in ((), ("name",))
    return path == ("stop_channel",) and known[0] == "channels"


def _check_database(settings: Settings, meaning: Meaning) -> None:
    database = settings.database
    if database.embedded is not None and (database.dsn or database.password is not None):
        text = "it excludes database.dsn and database.password"
        meaning.problems.append(Problem(("database", "embedded"), text))
    if database.password is not None and has_password(database.dsn):
        text = "database.dsn has a password already"
        meaning.problems.append(Problem(("database", "password"), text))


def _check_times(settings: Settings, meaning: Meaning) -> None:
    if settings.retry.initial > settings.retry.maximum:
        text = f"it must not be more than retry.maximum, which is {settings.retry.maximum:g}"
        meaning.problems.append(Problem(("retry", "initial"), text))
    if settings.stop_channel is not None and settings.stop_channel in settings.channels:
        text = f"{settings.stop_channel} rings the functions already: see channels"
        meaning.problems.append(Problem(("stop_channel",), text))
    if settings.on_idle is not None and settings.idle_timeout is None:
        text = "it is never called without idle_timeout"
        meaning.problems.append(Problem(("on_idle",), text))


def _check_loops(loops: Sequence[LoopOptions], meaning: Meaning) -> None:
    seen: dict[str, int] = {}
    for number, loop in enumerate(loops):
        if loop.name in seen:
            text = f"loop[{seen[loop.name]}] has the name {loop.name} already"
            meaning.problems.append(Problem(("loop", number, "name"), text))
        seen.setdefault(loop.name, number)


def _check_locks(settings: Settings, meaning: Meaning) -> None:
    locks = [(number, loop.lock) for number, loop in enumerate(settings.loop) if loop.lock]
    if not locks:
        if settings.max_loops is not None:
            meaning.warnings.append("there is no [[loop]] with a lock: max_loops bounds nothing")
        return
    from txdoorbell.fleet.keys import lock_key

    seen: dict[tuple[int, int], tuple[int, str]] = {}
    for number, lock in locks:
        other, name = seen.setdefault(lock_key(lock), (number, lock))
        if name != lock:
            text = f"PostgreSQL can't tell it from the lock {name} of loop[{other}]: rename one"
            meaning.problems.append(Problem(("loop", number, "lock"), text))


def _load_on_idle(settings: Settings, meaning: Meaning) -> None:
    if settings.on_idle is None:
        return
    try:
        meaning.on_idle = load_object(settings.on_idle)
    except LoadError as error:
        meaning.problems.append(Problem(("on_idle",), str(error)))
        return
    if not callable(meaning.on_idle):
        meaning.problems.append(Problem(("on_idle",), f"{settings.on_idle} can't be called"))


def _load_functions(settings: Settings, meaning: Meaning) -> None:
    seen: dict[tuple[str, Hashable], int] = {}
    functions: list[Loaded] = []
    for number, function in enumerate(settings.function):
        loaded = _load(number, function, settings, meaning)
        if loaded is None:
            continue
        if loaded.key in seen:
            text = f"it is function[{seen[loaded.key]}] already, in the loop {loaded.loop}"
            meaning.problems.append(Problem(("function", number, "call"), text))
        seen.setdefault(loaded.key, number)
        functions.append(loaded)
    meaning.functions = tuple(functions)


def _load(number: int, function: Function, settings: Settings, meaning: Meaning) -> Loaded | None:
    def complain(key: str, text: str) -> None:
        meaning.problems.append(Problem(("function", number, key), text))

    if not function.call:
        complain("call", "it is missing; expected MODULE:NAME, such as shop.jobs:process")
    _check_loop(function, settings, complain)
    return load_function(function, settings, complain)


def _check_loop(function: Function, settings: Settings, complain: Any) -> None:
    names = list(dict.fromkeys(loop.name for loop in settings.loop)) or [LoopOptions().name]
    name = loop_of(function, settings.loop)
    if name not in names:
        similar = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(names)}"
        complain("loop", f"there is no loop {name}; {hint}")
