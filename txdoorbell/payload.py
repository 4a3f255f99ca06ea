"""
What a payload says: text from anybody who may NOTIFY, as a native value.

A payload is hostile until shown otherwise. The parsers are given only what can be a value, what
comes out of them is bounded, and everything else stays the text that it was.
"""

import ast
import cmath
import re
from collections.abc import Callable, Iterable
from itertools import chain
from json import JSONDecoder
from json.scanner import make_scanner

NESTING_LIMIT = 100
"""How many levels a decoded value may have below its top."""


def decode_payload(text: str) -> object:
    """
    Return the value that a payload spells, or the payload itself.

    JSON is tried first, then a Python literal as :func:`ast.literal_eval` takes it. What is neither
    stays text, and so does what would harm its user: nesting deeper than :data:`NESTING_LIMIT`,
    a number too long for Python to print or too large for a float, NaN and infinity, and a literal
    with an escape that Python warns of. Nothing is raised, logged or warned of.

    :param text: the payload as PostgreSQL delivered it.
    """
    if text and text[0] in _VALUE_BEGINS:
        try:
            # Nearly all JSON has no white space around it: to look for that takes longer than this.
            value, end = _scan(text, 0)
            if end == len(text):
                return value if value.__class__ is int else _bounded(value, text)
        except (StopIteration, ValueError, RecursionError):
            pass
    return _decode_other(text)


def _decode_other(text: str) -> object:
    if not text or text.isidentifier():
        return _WORDS.get(text, text)
    if text[0] in _JSON_BEGINS:
        try:
            return _bounded(_JSON.decode(text), text)
        except (ValueError, RecursionError):
            pass
    if _LITERAL.fullmatch(text):
        try:
            return _checked(ast.literal_eval(text))
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            pass
    return text


def _finite(digits: str) -> float:
    number = float(digits)
    if not cmath.isfinite(number):
        raise ValueError(digits)
    return number


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _bounded(value: object, text: str) -> object:
    # Brackets bound the depth from above: nearly every value is spared the walk.
    if text.count("[") + text.count("{") <= NESTING_LIMIT:
        return value
    return _checked(value)


def _checked(value: object) -> object:
    layer: list[object] = [value]
    for _ in range(NESTING_LIMIT + 1):
        layer = [inner for outer in layer for inner in _inside(outer)]
    if layer:
        raise ValueError("nested too deeply")
    return value


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return chain(value, value.values())
    if isinstance(value, list | tuple | set):
        return value
    if isinstance(value, int):
        str(value)  # ValueError for what nobody could print: 0xfff... has no other limit
    elif isinstance(value, float | complex) and not cmath.isfinite(value):
        raise ValueError("infinite")
    return ()


def _quoted(escape: str) -> str:
    """Return a pattern for a string in any of the four quotes, each backslash before ``escape``."""
    kinds = [
        rf"{q * 3}(?:[^\\{q}]|\\{escape}|{q}(?!{q * 2}))*+{q * 3}"
        rf"|{q}(?!{q * 2})(?:[^\\{q}\n]|\\{escape})*+{q}"
        for q in ("'", '"')
    ]
    return f"(?:{'|'.join(kinds)})"


_OCTAL = r"[0-3][0-7]{0,2}+|[4-7][0-7]?+(?![0-7])"
_TEXT = "[uU]?" + _quoted(rf"(?:[\n\\'\"abfnrtvxuUN]|{_OCTAL})")
_BYTES = "[bB]" + _quoted(rf"(?:[\n\\'\"abfnrtvx]|{_OCTAL})")
_RAW = "(?:[rR][bB]?|[bB][rR])" + _quoted(".")
_NUMBER = r"(?:0[xXoObB][0-9a-fA-F_]++|\.?[0-9][0-9_.]*+(?:[eE][-+]?[0-9_]++)?+[jJ]?+)"
_SIGNED = rf"[-+]?\s*{_NUMBER}(?:\s*[-+]\s*{_NUMBER})?+(?!\s*[-+])"
_ATOM = rf"{_SIGNED}|{_TEXT}|{_BYTES}|{_RAW}|None|True|False|\.\.\.|set\(\s*\)"

# Any order of the pieces of a literal, but no bracket opened right after one: so the parser nests
# by brackets alone, which it counts itself, and finds nothing to warn of.
_LITERAL = re.compile(
    rf"(?:\s*+(?:[\[({{,:]|(?:[\])}}]|{_ATOM})\s*+(?![\[({{])))*+\s*", re.ASCII | re.DOTALL
)
_JSON = JSONDecoder(parse_float=_finite, parse_constant=_refuse)
_scan: Callable[[str, int], tuple[object, int]] = make_scanner(_JSON)  # type: ignore[arg-type]
_VALUE_BEGINS = frozenset('{["-0123456789')
_JSON_BEGINS = frozenset('{["-0123456789tfn \t\r\n')
_WORDS: dict[str, object] = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "null": None,
    "None": None,
}
