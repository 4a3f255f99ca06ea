"""How Sphinx builds these pages: ``make docs``, strictly (``-n -W``)."""

from configparser import ConfigParser
from pathlib import Path

_setup = ConfigParser()
_setup.read(Path(__file__).resolve().parent.parent / "setup.cfg")

project = "txdoorbell"
author = "The txdoorbell maintainers"
copyright = "2026, the txdoorbell maintainers"  # noqa: A001 - Sphinx' name for it
release = version = _setup["metadata"]["version"]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_title = f"txdoorbell {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
add_module_names = False
highlight_language = "python3"

# -n wants a target for each name; those of other projects would have to be fetched from the
# network at build time.
nitpick_ignore_regex = [
    ("py:.*", r"(twisted|zope|psycopg2|txpostgres|collections|pathlib|typing|types)\..*"),
    ("py:(class|exc|obj|data)", r"[A-Z]\w*Error|bool|bytes|dict|float|int|list|object|str|None"),
]
