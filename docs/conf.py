"""How Sphinx builds these pages: ``make docs``, strictly (``-n -W``)."""

import sys
from configparser import ConfigParser
from pathlib import Path

from twisted.internet import interfaces
from zope.interface.interface import InterfaceClass

_checkout = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_checkout), str(_checkout / "docs" / "_extensions")]
_setup = ConfigParser()
_setup.read(_checkout / "setup.cfg")

project = "txdoorbell"
author = "The txdoorbell maintainers"
copyright = "2026, the txdoorbell maintainers"  # noqa: A001 - Sphinx' name for it
release = version = _setup["metadata"]["version"]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest", "news", "real_names"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_title = f"txdoorbell {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# An interface shows itself as <InterfaceClass ...>; these are shown by their names.
autodoc_type_aliases = {
    name: f"{interfaces.__name__}.{name}"
    for name, value in vars(interfaces).items()
    if isinstance(value, InterfaceClass)
}
add_module_names = False
highlight_language = "python3"

# -n wants a target for each name; those of other projects would have to be fetched from the
# network at build time.
nitpick_ignore_regex = [
    ("py:.*", r"(twisted|zope|psycopg2|txpostgres|collections|pathlib|typing|types)\..*"),
    ("py:(class|exc|obj|data)", r"[A-Z]\w*Error|bool|bytes|dict|float|int|list|object|str|None"),
]
