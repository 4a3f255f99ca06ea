"""Command lines in error messages: what may be shown of words that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["not_understood"]


def not_understood(words: Iterable[str], beside_dsn: bool) -> str:
    """
    Name the stray words of a command line, without what may be a password.

    Beside a DSN they most often are a part of it, which isn't quoted: of such words an option and a
    key are shown, and nothing else.

    :param beside_dsn: whether there is a DSN on the command line.
    """
    text = " ".join(" ".join(words).split())
    if not beside_dsn and "=" not in text and "@" not in text:
        return f"not understood: {text}"
    shown = " ".join(map(_shown, text.split()))
    return f"not understood: {shown} (a value with spaces needs quotes around it)"


def _shown(word: str) -> str:
    key, equals, _ = word.partition("=")
    if equals:
        return f"{key}=..."
    return word if word.startswith("-") else "..."
