"""
Configuration files: TOML to settings that will do, or a list of all that is wrong with it.

This imports cattrs, so nobody imports it who has no file.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from reprlib import Repr
from typing import Any

from txdoorbell.settling.credentials import exposure
from txdoorbell.settling.functions import Plan
from txdoorbell.settling.meaning import check_meaning
from txdoorbell.settling.shape import Problem, structure
from txdoorbell.settling.tomllines import KeyPath, line_of, shown
from txdoorbell.settling.variables import MissingVariable, restore, substitute

__all__ = ["ConfigError", "read_config"]

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class ConfigError(ValueError):
    """
    A configuration that can't be used.

    :ivar problems: what is wrong: a line for each, with the file, the line and the key in it.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_config(path: Path, environ: Mapping[str, str] = os.environ) -> Plan:
    """
    Read a file, and import what it names. Modules imported before are not imported again.

    :param environ: where the values of ``${NAME}`` are.
    :raises ConfigError: when it can't be used; it lists everything that is wrong.
    :raises DriverMissing: when there is nothing to parse a DSN with.
    """
    text = _read(path)
    raw = _parse(path, text)
    problems: list[Problem] = []
    settings, misshapen = structure(_substituted(raw, (), environ, problems))
    problems += misshapen
    meaning = check_meaning(settings, [problem.path for problem in problems])
    problems += meaning.problems
    if problems:
        problems = [_restored(raw, problem, environ) for problem in problems]
        raise ConfigError([_line(path, text, problem) for problem in _sorted(text, problems)])
    exposed = exposure(path, raw)
    warnings = ([exposed] if exposed else []) + [f"{path}: {text}" for text in meaning.warnings]
    return Plan(settings, meaning.functions, meaning.on_idle, tuple(warnings))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}, line {line}: this is no UTF-8"]) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (")
        numbers = re.findall(r"\d+", where)
        line = int(numbers[0]) if numbers else len(text.splitlines())
    except RecursionError:
        raise ConfigError([f"{path}: this is nested too deeply"]) from None
    raise ConfigError([f"{path}, line {line}: {what}"])


def _substituted(
    value: Any, path: KeyPath, environ: Mapping[str, str], problems: list[Problem]
) -> Any:
    """Put in the environment's values everywhere; where one is missing the key is left out."""
    if isinstance(value, str):
        return substitute(value, environ)
    if isinstance(value, list):
        items = (
            _attempt(item, (*path, number), environ, problems) for number, item in enumerate(value)
        )
        return [item for found in items for item in found]
    if isinstance(value, dict):
        pairs = {
            key: _attempt(item, (*path, key), environ, problems) for key, item in value.items()
        }
        return {key: found[0] for key, found in pairs.items() if found}
    return value


def _attempt(
    value: Any, path: KeyPath, environ: Mapping[str, str], problems: list[Problem]
) -> list[Any]:
    try:
        return [_substituted(value, path, environ, problems)]
    except MissingVariable as error:
        problems.append(Problem(path, str(error)))
        return []


def _sorted(text: str, problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: line_of(text, problem.path) or 0)


def _restored(raw: Any, problem: Problem, environ: Mapping[str, str]) -> Problem:
    """Return a problem with what stands in the file, which is not what came of its variables."""
    try:
        found = _found(raw, problem.path)
    except LookupError:  # a key that is missing
        return problem
    text = restore(problem.text, str(found), environ)
    return Problem(problem.path, f"{text}, not {_SHORT.repr(found)}" if problem.show else text)


def _found(value: Any, path: KeyPath) -> Any:
    for step in path:
        value = value[step]
    return value


def _line(path: Path, text: str, problem: Problem) -> str:
    number = line_of(text, problem.path)
    place = f"{path}, line {number}" if number else str(path)
    return f"{place}: {shown(problem.path)}: {problem.text}"
