"""Figures in words, for people: times, lengths of time, shares."""

from __future__ import annotations

import time

__all__ = ["ago", "clean", "clock", "length", "share", "size", "until", "whole_length"]


def length(seconds: float) -> str:
    """Return a length of time in two figures: ``3.2 ms``, ``41 s``, ``2 h 05 min``."""
    if seconds < 0.0009995:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return whole_length(round(seconds))


def whole_length(seconds: int) -> str:
    """Return a length of time of whole seconds, in two figures at most."""
    units = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    for size, unit, part, smaller in units:
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest:02d} {smaller}" if rest else "")
    return f"{seconds} s"


def ago(at: float | None, now: float) -> str:
    """Return how long ago something was, in whole seconds."""
    if at is None:
        return "never"
    return f"{whole_length(round(now - at))} ago" if now - at >= 1 else "just now"


def until(at: float | None, now: float) -> str:
    """Return how long it is until something, in whole seconds."""
    if at is None:
        return "when rung"
    return f"in {whole_length(max(1, round(at - now)))}" if at > now else "now"


def clock(at: float) -> str:
    """Return a time of this host's day; with the date, when that is not today's."""
    then, now = time.localtime(at), time.localtime()
    today = (then.tm_year, then.tm_yday) == (now.tm_year, now.tm_yday)
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", then)


def share(part: float | None) -> str:
    """Return a share, 0 to 1, in per cent."""
    if part is None:
        return "not known yet"
    return f"{part * 100:.1f} %" if 0.0005 <= part < 0.0995 else f"{part * 100:.0f} %"


def size(amount: int | None) -> str:
    """Return a number of bytes in up to three figures: ``712 B``, ``1.2 MB``."""
    if amount is None:
        return "not known yet"
    if amount < 1000:
        return f"{amount} B"
    figure, unit = amount / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if figure >= 999.5:
            figure, unit = figure / 1000, larger
    return f"{figure:.1f} {unit}" if figure < 99.95 else f"{figure:.0f} {unit}"


def clean(text: str, limit: int = 0) -> str:
    """
    Return a text that can be encoded as UTF-8.

    :param limit: how many characters of it are enough; 0 for all.
    """
    whole = text.encode("utf-8", "replace").decode()
    return whole if not limit or len(whole) <= limit else f"{whole[: limit - 1]}…"
