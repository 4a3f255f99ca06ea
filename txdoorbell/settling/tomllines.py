"""
Where in a TOML file a key stands: tomllib tells the lines of its own complaints only.

This is a search, and no second parser. It does not look into values, so a key of an inline table is
found at the line of the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["KeyPath", "line_of", "shown"]

KeyPath = tuple[str | int, ...]
"""The way to a value: names of keys, and numbers in arrays."""

_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_LONG = re.compile(r'"""|' + "'''")


def line_of(text: str, path: KeyPath) -> int | None:
    """
    Find the line of a key, or of the innermost table around it that can be found.

    :param text: a file that tomllib could read.
    :returns: from 1; None when nothing of it is found.
    """
    lines: dict[KeyPath, int] = {}
    for number, found in _keys(text):
        lines.setdefault(found, number)
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def shown(path: KeyPath) -> str:
    """Return a path as people write it: ``function[0].timeout``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _keys(text: str) -> Iterator[tuple[int, KeyPath]]:
    """Go through the keys and headers of a file, with their lines."""
    table: KeyPath = ()
    counts: dict[KeyPath, int] = {}
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if not inside:
            if header := _HEADER.match(line):
                table = _table(header[1], _parts(header[2]), counts)
                yield from ((number, path) for path in _prefixes((), table))
            elif key := _KEY.match(line):
                yield from ((number, path) for path in _prefixes(table, _parts(key[1])))
        inside ^= len(_LONG.findall(line)) % 2 == 1


def _table(bracket: str, name: KeyPath, counts: dict[KeyPath, int]) -> KeyPath:
    """Return the path of a table, numbered when it is one of an array's."""
    if bracket == "[":
        parent = name[:-1]
        return (*parent, counts[parent] - 1, name[-1]) if parent in counts else name
    counts[name] = counts.get(name, 0) + 1
    return (*name, counts[name] - 1)


def _prefixes(table: KeyPath, parts: KeyPath) -> Iterator[KeyPath]:
    for length in range(1, len(parts) + 1):
        yield (*table, *parts[:length])


def _parts(name: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in _PART.findall(name))
