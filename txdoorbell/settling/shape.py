"""
A parsed file becomes settings, by cattrs: which keys there are, and which values they take.

Nothing is converted on the way: ``"60"`` is no number.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any, NamedTuple, get_args, get_type_hints

from cattrs import (
    ClassValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationError,
)
from cattrs.gen import make_dict_structure_fn, override

from txdoorbell.listening.dsn import is_part_of_dsn
from txdoorbell.settling.checks import Unexpected
from txdoorbell.settling.settings import Database, Settings
from txdoorbell.settling.tomllines import KeyPath, shown

__all__ = ["Problem", "structure"]


class Problem(NamedTuple):
    """
    What is wrong with a key.

    :ivar show: whether the value that was found is to be shown beside the text.
    """

    path: KeyPath
    text: str
    show: bool = False


def structure(document: Mapping[str, Any]) -> tuple[Settings, list[Problem]]:
    """
    Make settings of a document.

    :returns: the settings, without what is wrong, and what that is.
    """
    converter = _converter()
    problems: list[Problem] = []
    sound = dict(document)
    try:
        return converter.structure(sound, Settings), problems
    except ClassValidationError as error:
        problems = list(_problems(error, ()))
    for problem in problems:
        sound = _without(sound, problem.path)
    return converter.structure(sound, Settings), problems


def _converter() -> Converter:
    converter = Converter(detailed_validation=True, forbid_extra_keys=True)
    converter.register_structure_hook_factory(is_dataclass, lambda cls: _table_of(converter, cls))
    return converter


def _table_of(converter: Converter, cls: type) -> Callable[[Any, Any], Any]:
    """Return what makes an instance of a settings class of a table."""
    hooks: Any = {key.name: override(struct_hook=_hook(converter, key)) for key in fields(cls)}
    make: Callable[[Any, Any], Any] = make_dict_structure_fn(
        cls, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, **hooks
    )

    def table(value: object, kind: Any) -> Any:
        if not isinstance(value, dict):
            raise Unexpected("a table")
        return make(value, kind)

    return table


def _hook(converter: Converter, key: Field[Any]) -> Callable[[Any, Any], Any]:
    if check := key.metadata.get("check"):
        return lambda value, _: check(value)
    if key.default == ():
        return lambda value, kind: converter.structure(_array(key.name, value), kind)
    return converter.structure


def _array(name: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise Unexpected(f"an array of tables; each begins with [[{name}]]")
    return value


# -- what went wrong


def _problems(error: BaseException, path: KeyPath) -> Iterator[Problem]:
    if isinstance(error, ClassValidationError | IterableValidationError):
        noted, others = error.group_exceptions()
        for inner, note in noted:
            step: str | int = getattr(note, "name", "") or getattr(note, "index", 0)
            yield from _problems(inner, (*path, step))
        for inner in others:
            yield from _problems(inner, path)
    elif isinstance(error, ForbiddenExtraKeysError):
        for name in sorted(error.extra_fields):
            yield Problem((*path, name), _unknown(name, error.cl))
    else:
        yield _problem(error, path)


def _problem(error: BaseException, path: KeyPath) -> Problem:
    if not isinstance(error, Unexpected):
        return Problem(path, str(error))
    return Problem(path, f"expected {error}", show=not _is_secret(path))


def _unknown(name: str, cls: type) -> str:
    known = [key.name for key in fields(cls)]
    if cls is Database and is_part_of_dsn(name):
        return f"there is no such key; it goes into database.dsn, as {name}=..."
    similar = difflib.get_close_matches(name, known, n=1)
    if similar:
        return f"there is no such key; did you mean {similar[0]}?"
    elsewhere = [shown(path) for path in _places(Settings, ()) if path[-1] == name]
    if elsewhere:
        return f"there is no such key here; did you mean {' or '.join(elsewhere)}?"
    return f"there is no such key; there are {', '.join(known)}"


def _places(cls: type, path: KeyPath) -> Iterator[KeyPath]:
    """List the paths of all keys."""
    kinds = get_type_hints(cls)
    for key in fields(cls):
        here = (*path, key.name)
        yield here
        kind: Any = (get_args(kinds[key.name]) or (kinds[key.name],))[0]
        if isinstance(kind, type) and is_dataclass(kind):
            yield from _places(kind, here)


def _is_secret(path: KeyPath) -> bool:
    return path[:1] == ("database",) and any(
        key.metadata.get("secret") for key in fields(Database) if path[1:] == (key.name,)
    )


def _without(value: Any, path: KeyPath) -> Any:
    """Return a document without a key; what is no table in an array becomes an empty one."""
    if not path:
        return {}
    first, rest = path[0], path[1:]
    if isinstance(value, list):
        return [_without(item, rest) if n == first else item for n, item in enumerate(value)]
    if not rest:
        return {key: item for key, item in value.items() if key != first}
    return {key: _without(item, rest) if key == first else item for key, item in value.items()}
