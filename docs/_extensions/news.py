"""The directive ``news``: what has changed since the last release, by the news fragments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

CHECKOUT = Path(__file__).resolve().parents[2]


class News(SphinxDirective):
    """Show the draft that towncrier makes of the fragments, without its title."""

    def run(self) -> list[nodes.Node]:
        """Return the sections of the draft."""
        draft = subprocess.run(
            [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next"],
            cwd=CHECKOUT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        self.env.note_reread()
        lines = draft.split("\n")
        title = next(number for number, line in enumerate(lines) if line.startswith("===="))
        self.state_machine.insert_input(StringList(lines[title + 1 :], "newsfragments"), "news")
        return []


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("news", News)
    return {"parallel_read_safe": True}
