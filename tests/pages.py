"""
Pages of the documentation as programs.

A page is run from top to bottom, in one namespace:

* ``.. code-block:: python`` is run, as a doctest where it begins with ``>>>``;
* with ``:caption: NAME.py`` it becomes a module that the blocks after it can import;
* ``.. testsetup::`` is run too, and not shown to readers.

What then stands in the namespace is run as well: each test case, and ``main(reactor)``.

All other blocks are those of :func:`shown`: :mod:`tests.readers` does what they say, and
:mod:`tests.claims` knows which test it is that a block has.
"""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent

_DIRECTIVE = re.compile(r"(?P<lead> *([*-] +|\d+\. +)?)\.\. (code-block:: python|testsetup::)\s*$")
_OTHER_CODE = re.compile(r"\.\. (code|sourcecode|code-block|doctest|testcode):: *(py.*)?$")
_OPTION = re.compile(r"\s*:(?P<name>[\w-]+):\s*(?P<value>.*)$")
_SHOWN = re.compile(
    r"(?P<lead> *([*-] +|\d+\. +)?)\.\. (?P<directive>code-block|literalinclude|testsetup)::"
    r" *(?P<argument>\S*)\s*$"
)
# What shows code in any other way: nothing would run that.
_UNSEEN = re.compile(
    r"\.\. (parsed-literal|code|sourcecode|doctest|testcode|testoutput|highlight|raw)::"
    r"|^(?! *\.\. ).*::\s*$"
    r"|^(?!   ) *>>> "
)


@dataclass(frozen=True)
class Block:
    """
    Code on a page.

    :ivar line: that of its first line of code, from 1.
    :ivar module: the module that it is; None for a piece of the page's own program.
    """

    page: Path
    line: int
    code: str
    module: str | None

    def run(self, namespace: dict[str, object]) -> None:
        """
        Run the code; a traceback shows the lines of the page.

        :raises AssertionError: when a doctest has another output than the page shows.
        """
        if self.code.startswith(">>>"):
            self._run_doctest(namespace)
        else:
            code = compile("\n" * (self.line - 1) + self.code, str(self.page), "exec")
            exec(code, namespace)

    def _run_doctest(self, namespace: dict[str, object]) -> None:
        parser, runner = doctest.DocTestParser(), doctest.DebugRunner()
        name = self.page.name
        test = parser.get_doctest(self.code, namespace, name, str(self.page), self.line - 1)
        test.globs = namespace
        try:
            runner.run(test, clear_globs=False)
        except doctest.DocTestFailure as failure:
            line = self.line + failure.example.lineno
            raise AssertionError(f"{name}, line {line}: got {failure.got!r}") from None


@dataclass(frozen=True)
class Shown:
    """
    Something that a page shows as code, of whatever kind.

    :ivar line: that of its directive, from 1.
    :ivar directive: ``code-block``, ``literalinclude`` or ``testsetup``.
    :ivar kind: the language of a block, such as ``console``; the file that is included.
    :ivar caption: None where there is none.
    :ivar text: without its indentation; empty for a file that is included.
    """

    page: str
    line: int
    directive: str
    kind: str
    caption: str | None
    text: str


def pages() -> list[Path]:
    """Return the pages that may have code on them."""
    return [ROOT / "README.rst", *sorted((ROOT / "docs").glob("**/*.rst"))]


def blocks(page: Path) -> Iterator[Block]:
    """
    Find the blocks of a page, in order.

    :raises ValueError: for a block that is empty, or Python that would not be run.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        directive = _DIRECTIVE.match(line)
        if directive is None and _OTHER_CODE.search(line):
            raise ValueError(f"{page}, line {number + 1}: write it as '.. code-block:: python'")
        if directive:
            yield _block(page, lines, number + 1, len(directive["lead"]))


def shown(page: Path) -> Iterator[Shown]:
    """
    Find everything that a page shows as code, in order.

    :raises ValueError: for what is shown in a way that no test would see.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if _UNSEEN.search(line):
            raise ValueError(f"{page}, line {number + 1}: write it as '.. code-block:: KIND'")
        if directive := _SHOWN.match(line):
            yield _shown(page, lines, number, directive)


def _shown(page: Path, lines: list[str], number: int, directive: re.Match[str]) -> Shown:
    what, kind = directive["directive"], directive["argument"]
    if what == "literalinclude":
        return Shown(page.name, number + 1, what, kind, None, "")
    _, options = _options(lines, number + 1)
    text = _block(page, lines, number + 1, len(directive["lead"])).code.rstrip("\n")
    return Shown(page.name, number + 1, what, kind, options.get("caption"), text)


def run(page: Path) -> dict[str, object]:
    """
    Run the blocks of a page.

    :returns: the namespace in which they have run.
    """
    namespace: dict[str, object] = {"__name__": page.stem}
    modules: list[str] = []
    try:
        for block in blocks(page):
            if block.module is None:
                block.run(namespace)
            else:
                module = sys.modules[block.module] = ModuleType(block.module)
                modules.append(block.module)
                block.run(module.__dict__)
    finally:
        for name in modules:
            sys.modules.pop(name, None)
    return namespace


def _block(page: Path, lines: list[str], start: int, indent: int) -> Block:
    """Read a block whose directive is on the line before ``start``, counted from 0."""
    start, options = _options(lines, start)
    while start < len(lines) and not lines[start].strip():
        start += 1
    margin = len(lines[start]) - len(lines[start].lstrip()) if start < len(lines) else 0
    if margin <= indent:
        raise ValueError(f"{page}, line {start}: the block is empty")
    code = []
    for line in lines[start:]:
        if line.strip() and len(line) - len(line.lstrip()) < margin:
            break
        code.append(line[margin:])
    caption = options.get("caption", "")
    module = caption.removesuffix(".py") if caption.endswith(".py") else None
    return Block(page, start + 1, "\n".join(code).rstrip() + "\n", module)


def _options(lines: list[str], start: int) -> tuple[int, dict[str, str]]:
    """Read a directive's options; return where they end, too."""
    options = {}
    while start < len(lines) and (option := _OPTION.match(lines[start])):
        options[option["name"]] = option["value"]
        start += 1
    return start, options
