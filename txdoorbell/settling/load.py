"""
Names on a command line or in a file become objects: ``MODULE:NAME``, and what is wrong with it.

What is wrong is always told in one line that names the culprit: the module, the name in it, or
the module that it imports in its turn.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import cast

from txdoorbell.listening.oneline import one_line
from txdoorbell.loop import Loop
from txdoorbell.processor import Handler, Processor, handler_processor

__all__ = ["LoadError", "add_processor", "import_from_here", "load_object", "load_processor"]


class LoadError(ValueError):
    """``MODULE:NAME`` leads to nothing that can be used; the text is one line that says why."""


def import_from_here() -> None:
    """
    Let modules be imported from the current directory, as ``python -m`` does.

    The script ``twistd`` does not do so itself. The directory is taken as it is now: a daemon may
    change to another one.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def load_processor(spec: str) -> object:
    """
    Import a processing function or a handler object.

    :param spec: ``MODULE:NAME``.
    :returns: what :func:`add_processor` takes.
    :raises LoadError: when it can't be imported, or a loop could not run it.
    """
    processor = load_object(spec)
    try:
        _check(processor)
    except (TypeError, ValueError) as error:
        raise LoadError(f"{spec}: {one_line(error)}") from None
    return processor


def add_processor(loop: Loop, processor: object) -> None:
    """
    Add a function to a loop, or register a handler object.

    :param processor: as :func:`load_processor` returns it.
    """
    if _is_handler(processor):
        loop.register(cast(Handler, processor))
    else:
        loop.add(processor)  # type: ignore[arg-type]


def _is_handler(processor: object) -> bool:
    return hasattr(processor, "notification_channel")


def _check(processor: object) -> None:
    if isinstance(processor, type):
        raise TypeError("it is a class; name a function, or an object made of it")
    if _is_handler(processor):
        handler_processor(cast(Handler, processor))
    elif callable(processor):
        Processor(processor)
    else:
        raise TypeError(f"it can't be called: it is of type {type(processor).__name__}")
    hash(processor)


def load_object(spec: str) -> object:
    """
    Import an object.

    :param spec: ``MODULE:NAME``; the name may have dots, as in ``shop.jobs:Queue.work``.
    :raises LoadError: when it can't be imported.
    """
    module, colon, name = spec.partition(":")
    if module.endswith(".py"):
        raise LoadError(f"{spec}: {module} is a file; name its module, without .py or folders")
    if not (colon and _is_dotted(module) and _is_dotted(name)):
        raise LoadError(f"{spec!r}: it must be MODULE:NAME, such as shop.jobs:process")
    found: object = _load_module(spec, module)
    for part in name.split("."):
        found = _attribute(spec, found, part)
    return found


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _attribute(spec: str, owner: object, name: str) -> object:
    try:
        return getattr(owner, name)
    except AttributeError:
        import difflib

        whose = f"module {owner.__name__}" if isinstance(owner, ModuleType) else "it"
        similar = difflib.get_close_matches(name, dir(owner), n=1)
        hint = f"; did you mean {similar[0]}?" if similar else ""
        raise LoadError(f"{spec}: {whose} has no {name}{hint}") from None
    except Exception as error:  # noqa: BLE001 - it may be a property of anybody's
        raise LoadError(f"{spec}: getting {name} failed: {one_line(error)}") from None


def _load_module(spec: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and _is_part(error.name, module) and not _places(error):
            where = f"in {Path.cwd()} or where else Python looks"
            raise LoadError(f"{spec}: there is no module {error.name} {where}") from None
        raise LoadError(f"{spec}: {_failure(module, error)}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the module is anybody's
        raise LoadError(f"{spec}: {_failure(module, error)}") from None


def _is_part(name: str, module: str) -> bool:
    """Say whether a name is the module, or a package that it is in."""
    return f"{module}.".startswith(f"{name}.")


def _failure(module: str, error: BaseException) -> str:
    """Say in one line why a module's own code could not be run, and where."""
    places = _places(error)
    where = f" ({places[-1]})" if places else ""
    text = one_line(error)
    return f"importing {module} failed: {type(error).__name__}{': ' * bool(text)}{text}{where}"


def _places(error: BaseException) -> list[str]:
    """List where an import came by, outermost first, Python's own part in it left out."""
    return [
        f"{frame.filename}, line {frame.lineno}"
        for frame in extract_tb(error.__traceback__)
        if frame.filename not in (__file__, importlib.__file__)
        and not frame.filename.startswith("<frozen importlib")
    ]
