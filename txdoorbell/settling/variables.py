"""``${NAME}`` in the texts of a configuration: values from the environment, such as secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["MissingVariable", "placeholder_for_each", "restore", "substitute"]

_VARIABLE = re.compile(r"\$(\$\{|\{(?P<name>[^}]*)\}?)")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class MissingVariable(ValueError):
    """A variable can't be used; the text names it."""


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """
    Put in the environment's values. ``$${`` stands for ``${`` itself.

    :raises MissingVariable: for one that isn't set, or a ``${`` that names none.
    """

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "${"
        if not _NAME.fullmatch(name) or not match[0].endswith("}"):
            raise MissingVariable("${ must be followed by a name and }; $${ is the text ${ itself")
        if name not in environ:
            raise MissingVariable(f"the environment variable {name} is not set")
        return environ[name]

    return _VARIABLE.sub(value, text)


def placeholder_for_each(text: str, placeholder: str) -> str:
    """Return a text with a placeholder for each variable: what is readable in the file."""
    return _VARIABLE.sub(placeholder, text)


def restore(text: str, given: str, environ: Mapping[str, str]) -> str:
    """
    Return a text in which values of the environment are variables again.

    :param text: what is to be shown.
    :param given: what is in the file, with the variables that may be meant.
    """
    for match in _VARIABLE.finditer(given):
        value = environ.get(match["name"] or "")
        if value:
            shown = match[0].replace("\\", r"\\")
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", shown, text)
    return text
