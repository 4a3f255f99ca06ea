"""Counts by name that are read, and never changed: a snapshot's own."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["Counts", "plain"]


class Counts(dict[str, int]):
    """
    A dict that can't be changed, and can be hashed.

    It is a dict, so ``dataclasses.asdict`` and ``json`` take it as one.
    """

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a snapshot can't be changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[Counts], tuple[dict[str, int]]]:
        """Copy it by its items: the usual way changes the copy."""
        return Counts, (dict(self),)


def plain(value: Any) -> Any:
    """Return what ``dataclasses.asdict`` has made with plain dicts and lists in it, all its own."""
    if isinstance(value, dict):
        return {key: plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [plain(held) for held in value]
    return value
