"""
What it costs to import something, or to ask twistd for help.

``python -m benchmarks.cost_of_import``, then ``help with`` or ``help without`` our plugin, or
``import MODULE``.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from importlib import import_module
from pathlib import Path

OPTIONAL = ("psycopg2", "txpostgres", "prometheus_client", "asynqueue", "twisted.web", "asyncio")
"""Modules that not everybody needs."""


def main(what: str, argument: str) -> None:
    """Do it, and say what it took; the interpreter's own start is left out."""
    before, known = time.process_time(), set(sys.modules)
    if what == "import":
        import_module(argument)
    else:
        _help(with_plugin=argument == "with")
    cpu = time.process_time() - before
    from benchmarks.processes import say

    new = set(sys.modules) - known
    ours = sorted(name for name in new if name.startswith("txdoorbell"))
    optional = [name for name in OPTIONAL if name in new]
    say(cpu=cpu * 1000, modules=len(new), ours=ours, optional=optional)


def _help(*, with_plugin: bool) -> None:
    import twisted.plugins
    from twisted.scripts.twistd import run

    if not with_plugin:
        places = twisted.plugins.__path__
        places[:] = [p for p in places if not (Path(p) / "txdoorbell_plugin.py").exists()]
    sys.argv = ["twistd", "--help"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        run()


if __name__ == "__main__":
    main(*sys.argv[1:])
