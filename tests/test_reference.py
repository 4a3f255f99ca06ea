"""The pages of reference have every public name and every option, and none that isn't there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from importlib import import_module
from io import StringIO
from pkgutil import iter_modules
from types import ModuleType

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

import txdoorbell
from tests import pages
from txdoorbell.cli import main
from txdoorbell.tap import Options

_AUTO = re.compile(
    r"^ *\.\. auto(?P<what>module|class|function|exception|data):: (?P<name>\S+)\n"
    r"(?P<options>(?: +:[\w-]+:.*\n)*)",
    re.M,
)
_OPTION = re.compile(r":(?P<name>[\w-]+): *(?P<value>.*)")
# Public to other modules of the library, not to its users.
OURS = {
    "cli.main": "pip makes the command txdoorbell of it",
    "tap.Options": "twistd asks for it",
    "tap.makeService": "twistd asks for it",
    "leadership.LOCK_CLASS": "docs/fleet.rst says what keys a lock has",
    "leadership.RELEASE_CHANNEL": "the hosts' own channel",
    "leadership.RELEASE_TIMEOUT": "that of a ring on it",
    "leadership.Leadership": "a doorbell makes it",
    "listener.check_dsn": "refuses what an option can't be",
    "processor.Processor": "a loop makes it of a function",
    "processor.check_choice": "refuses what an option can't be",
    "processor.check_seconds": "refuses what an option can't be",
    "processor.handler_processor": "a doorbell makes it of a handler",
    "processor.name_of": "how logs call a function",
    "sql.EVENTS": "docs/sql.rst has them",
    "sql.check_events": "refuses what an option can't be",
    "wal.OPERATIONS": "a table's change has one of them, and its reference says which",
    "wal.PREFIX": "of the rings in the log",
    "wal.Table": "what a name means in a database",
    "wal.check_tables": "refuses what an option can't be",
}
# They are values: docs/concepts.rst has a table of what they mean.
RESULTS = ("DONE_FOR_NOW", "FOUND_WORK", "WORK_REMAINING")


def public_modules() -> Iterator[ModuleType]:
    """Return the modules at the top that say what is public in them."""
    yield txdoorbell
    for module in iter_modules(txdoorbell.__path__, "txdoorbell."):
        loaded = import_module(module.name) if module.name != "txdoorbell.__main__" else None
        if loaded is not None and hasattr(loaded, "__all__"):
            yield loaded


def names_of(module: ModuleType) -> list[str]:
    """Return the names that Sphinx would show of a module."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    names = [name for name in vars(module) if not name.startswith("_")]
    return [name for name in names if place(module, name)[0] == module.__name__]


def place(module: ModuleType, name: str) -> tuple[str, str]:
    """Return where something was defined, under which name."""
    value = getattr(module, name)
    return getattr(value, "__module__", module.__name__), getattr(value, "__name__", name)


def documented() -> Iterator[tuple[str, str]]:
    """Return what the pages show, by where it was defined."""
    for page in pages.pages():
        for found in _AUTO.finditer(page.read_text(encoding="utf-8")):
            yield from shown_by(found)


def shown_by(directive: re.Match[str]) -> Iterator[tuple[str, str]]:
    """Return what one directive shows."""
    owner, _, name = directive["name"].rpartition(".")
    if directive["what"] != "module":
        yield place(namedAny(owner), name)
        return
    module = import_module(directive["name"])
    options = {option["name"]: option["value"] for option in _OPTION.finditer(directive["options"])}
    hidden = re.findall(r"\w+", options.get("exclude-members", ""))
    wanted = re.findall(r"\w+", options.get("members", "")) or names_of(module)
    if "members" in options:
        yield from (place(module, name) for name in wanted if name not in hidden)


def told(*arguments: str) -> str:
    """Return what ``txdoorbell`` tells of itself."""
    with contextlib.redirect_stdout(StringIO()) as out, contextlib.suppress(SystemExit):
        main([*arguments, "--help"])
    return out.getvalue()


def commands() -> dict[str, list[str]]:
    """Return the commands of ``txdoorbell``, each with its long options."""
    names = re.findall(r"^    (\w+) ", told().partition("commands:")[2], re.M)
    return {name: sorted(set(re.findall(r"^ +(--\w[\w-]+)", told(name), re.M))) for name in names}


class NamesTests(SynchronousTestCase):
    """Public names."""

    skip = None if (pages.ROOT / "docs").is_dir() else "the documentation is not installed"

    def test_all(self) -> None:
        """Each name in ``__all__`` of a module at the top stands on a page."""
        there = set(documented())
        missing = [
            f"{module.__name__}.{name}"
            for module in public_modules()
            for name in module.__all__
            if place(module, name) not in there and name not in RESULTS
        ]
        ours = [f"txdoorbell.{name}" for name in OURS]
        self.assertEqual([name for name in missing if name not in ours], [])
        self.assertEqual([name for name in ours if name not in missing], [])

    def test_results(self) -> None:
        """The results that have a name stand in the table of results."""
        text = self.page("concepts")
        for name in RESULTS:
            self.assertRegex(text, rf"(?m)^   \* - .*``{name}``")

    def test_top(self) -> None:
        """The reference begins with the names that txdoorbell itself has."""
        _, _, text = self.page("reference").partition("Imported from ``txdoorbell`` itself:")
        named = re.findall(r"``(\w+)``", text.partition("\n\n")[0])
        self.assertEqual(sorted(named), sorted(txdoorbell.__all__))

    def page(self, name: str) -> str:
        """Return the text of a page."""
        return (pages.ROOT / "docs" / f"{name}.rst").read_text(encoding="utf-8")

    def test_options(self) -> None:
        """Each option of ``twistd doorbell`` stands on the page of commands, and no other does."""
        text = self.page("commands")
        section = text.partition("\ntxdoorbell\n---")[0]
        described = set(re.findall(r"``--([\w-]+)", section))
        there = {name.strip("=").replace("_", "-") for name in Options().longOpt}
        self.assertEqual(there - described, {"help", "version"} & there)
        self.assertEqual(described - there, {"logfile"} & described)

    def test_commands(self) -> None:
        """Each command of ``txdoorbell``, and each of their options, stands on a page."""
        text = "".join(page.read_text(encoding="utf-8") for page in pages.pages())
        for command, options in commands().items():
            self.assertIn(f"$ txdoorbell {command}", text)
            for option in options:
                self.assertRegex(text, rf"{option}\b", f"txdoorbell {command} {option}")
