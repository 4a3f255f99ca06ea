"""The page on configuration files says what is so: every key, with its default and its meaning."""

from __future__ import annotations

import re
import textwrap
import tomllib
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import txdoorbell
from txdoorbell.config import ConfigError, read_config
from txdoorbell.settling.settings import (
    Database,
    Function,
    LoopOptions,
    Probe,
    Retry,
    Settings,
    Wal,
)
from txdoorbell.settling.shape import structure

DOCS = Path(txdoorbell.__file__).resolve().parent.parent / "docs"
TABLES = [
    ("At the top", Settings),
    ("[database]", Database),
    ("[probe]", Probe),
    ("[retry]", Retry),
    ("[wal]", Wal),
    ("[[loop]]", LoopOptions),
    ("[[function]]", Function),
]


def entries(cls: Any) -> str:
    """Return what the page has to say of a table's keys."""
    return "\n\n".join(entry(key) for key in fields(cls) if "about" in key.metadata)


def entry(key: Field[Any]) -> str:
    """Return what the page has to say of a key."""
    default = "" if key.default in (None, "") else f" (``{as_toml(key.default)}``)"
    about = textwrap.wrap(key.metadata["about"], 110, break_on_hyphens=False)
    return "\n".join([f"``{key.name}``{default}", *(f"   {line}" for line in about)])


def as_toml(value: object) -> str:
    """Write a default as a configuration would."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


class PageTests(SynchronousTestCase):
    """The page, and the settings."""

    def setUp(self) -> None:
        """Read the page."""
        if not DOCS.is_dir():
            raise SkipTest("this is an installed txdoorbell")
        self.page = (DOCS / "configuration.rst").read_text(encoding="utf-8")

    def test_keys(self) -> None:
        """Each key stands in its section, with the default and the meaning that it has."""
        for heading, cls in TABLES:
            _, _, section = self.page.partition(f"\n{heading}\n{'-' * len(heading)}\n")
            self.assertIn(entries(cls), section.split("\n---")[0], heading)

    def test_example(self) -> None:
        """The example can be used, where its modules and its variable are."""
        _, problems = structure(tomllib.loads(self.block("doorbell.toml")))
        self.assertEqual(problems, [])

    def test_mistakes(self) -> None:
        """The mistakes that it shows are told like that."""
        shown = re.findall(r"twistd doorbell: \S+(, line .*)", self.page)
        path = Path(self.mktemp())
        path.write_text('\nintervall = 3\n\n\n\n[[loop]]\n\n\ntimeout = "5 min"\n')
        error = self.assertRaises(ConfigError, read_config, path)
        self.assertEqual([line.removeprefix(str(path)) for line in error.problems], shown)

    def block(self, caption: str) -> str:
        """Return the block with a caption."""
        _, _, after = self.page.partition(f":caption: {caption}\n\n")
        return textwrap.dedent(re.split(r"\n(?=\S)", after)[0])

    def test_no_other_keys(self) -> None:
        """No key is described that there isn't."""
        described = re.findall(r"^``(\w+)``(?: \(.*\))?$", self.page, re.MULTILINE)
        known = [key.name for _, cls in TABLES for key in fields(cls) if "about" in key.metadata]
        self.assertEqual(described, known)
