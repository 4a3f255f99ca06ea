"""``MODULE:NAME``: what it leads to, and one line about what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.loop import Loop
from txdoorbell.settling.load import (
    LoadError,
    add_processor,
    import_from_here,
    load_object,
    load_processor,
)

PACKAGE = {
    "__init__.py": "",
    "jobs.py": """
import asyncio

def process(): pass
async def relay(): pass
class Queue:
    def work(self): pass
    @property
    def burning(self): raise OSError("disk on fire")
    def __call__(self): pass
queue = Queue()
number = 42
unhashable = type("Unhashable", (), {"__call__": print, "__eq__": id, "__hash__": None})()

class Handler:
    notification_channel = "jobs"
    def interested_in_notification(self, payload): return True
    def take_notification_hint(self, payload): pass
    def run(self, budget): pass
    def stop(self): pass
handler = Handler()
half = Handler()
half.stop = None
loud = Handler()
loud.notification_channel = "x" * 64
""",
    "needy.py": "\nimport surely_not_installed\n",
    "broken.py": "def process(:\n",
    "failing.py": "\n\nraise RuntimeError('no\\nsettings')\n",
    "leaving.py": "raise SystemExit(3)\n",
    "own.py": "import {package}.missing\n",
}


class LoadTestCase(SynchronousTestCase):
    """Tests that have a package of their own to import from."""

    count = 0

    def setUp(self) -> None:
        """Write a package under a new name, and let it be found."""
        LoadTestCase.count += 1
        self.package = f"shop{self.count}"
        directory = Path(self.mktemp()).absolute()
        (directory / self.package).mkdir(parents=True)
        for name, text in PACKAGE.items():
            text = text.replace("{package}", self.package)
            (directory / self.package / name).write_text(text)
        self.patch(sys, "path", [str(directory), *sys.path])
        self.patch(sys, "dont_write_bytecode", True)
        self.addCleanup(self.forget)

    def forget(self) -> None:
        """Forget the package."""
        for name in [name for name in sys.modules if name.partition(".")[0] == self.package]:
            del sys.modules[name]

    def spec(self, rest: str) -> str:
        """Return a spec in the package."""
        return f"{self.package}.{rest}"

    def assert_refused(self, spec: str, reason: str) -> None:
        """See a spec refused, in one line that begins with it."""
        with self.assertRaises(LoadError) as caught:
            load_processor(spec)
        text = str(caught.exception)
        self.assertTrue(text.startswith((spec, repr(spec))), text)
        self.assertIn(reason.replace("{package}", self.package), text)
        self.assertNotIn("\n", text)


class ProcessorTests(LoadTestCase):
    """What can be run."""

    def test_functions(self) -> None:
        """Functions, coroutine functions, methods and callable objects can be run."""
        for name in ("process", "relay", "queue", "queue.work"):
            self.assertTrue(callable(load_processor(self.spec(f"jobs:{name}"))))

    def test_function_is_added(self) -> None:
        """A function is added to the loop, and hears every ring."""
        loop, process = Loop(Clock()), load_processor(self.spec("jobs:process"))
        add_processor(loop, process)
        self.assertEqual(loop.get_processors(), [process])
        self.assertEqual(loop.channels, set())

    def test_handler_is_registered(self) -> None:
        """A handler object is registered: it names its own channel."""
        loop, handler = Loop(Clock()), load_processor(self.spec("jobs:handler"))
        add_processor(loop, handler)
        self.assertEqual(loop.get_processors(), [handler])
        self.assertEqual(loop.channels, {"jobs"})

    def test_not_callable(self) -> None:
        """A number can't be run."""
        self.assert_refused(self.spec("jobs:number"), "can't be called: it is of type int")

    def test_class(self) -> None:
        """A class is mostly a mistake: one would be made at each ring, and nothing run."""
        self.assert_refused(self.spec("jobs:Queue"), "it is a class")

    def test_unhashable(self) -> None:
        """A loop could not know it again."""
        self.assert_refused(self.spec("jobs:unhashable"), "unhashable")

    def test_half_a_handler(self) -> None:
        """A handler object lacks a part, which is named."""
        self.assert_refused(self.spec("jobs:half"), "has no method stop()")

    def test_handler_of_an_impossible_channel(self) -> None:
        """A handler's channel is looked at as well."""
        self.assert_refused(self.spec("jobs:loud"), "64 bytes")


class ImportTests(LoadTestCase):
    """What can be imported."""

    def test_form(self) -> None:
        """It takes a module and a name."""
        for spec in ("jobs", "jobs:", ":process", "jobs/process", "a b:c", "jobs:process()", ""):
            self.assert_refused(spec, "it must be MODULE:NAME")

    def test_file(self) -> None:
        """A file in place of a module is an easy mistake."""
        self.assert_refused("jobs.py:process", "jobs.py is a file; name its module")

    def test_missing_module(self) -> None:
        """The module that is missing is named, or the package that it should be in."""
        self.assert_refused("surely_missing.jobs:process", "there is no module surely_missing")
        self.assert_refused("surely_missing.jobs:process", f"in {Path.cwd()} or where else")
        self.assert_refused(self.spec("missing:process"), "there is no module {package}.missing")

    def test_no_package(self) -> None:
        """A module has no modules in it."""
        self.assert_refused(self.spec("jobs.more:process"), "no module {package}.jobs.more")

    def test_missing_inside(self) -> None:
        """When the module imports one that is missing, that one is named, and the line."""
        self.assert_refused(
            self.spec("needy:process"),
            "importing {package}.needy failed: ModuleNotFoundError: No module named "
            "'surely_not_installed'",
        )
        self.assert_refused(self.spec("needy:process"), "needy.py, line 2)")
        self.assert_refused(self.spec("own:process"), "No module named '{package}.missing'")

    def test_syntax(self) -> None:
        """A mistake in the module is told, with its line."""
        self.assert_refused(self.spec("broken:process"), "SyntaxError")
        self.assert_refused(self.spec("broken:process"), "broken.py, line 1)")

    def test_error(self) -> None:
        """An error of the module's own code is told in one line."""
        self.assert_refused(self.spec("failing:process"), "failed: RuntimeError: no settings (")
        self.assert_refused(self.spec("failing:process"), "failing.py, line 3)")

    def test_exit(self) -> None:
        """A script that runs when it is imported does not end us."""
        self.assert_refused(self.spec("leaving:process"), "failed: SystemExit: 3")

    def test_missing_name(self) -> None:
        """The name that is missing is named, and a similar one is suggested."""
        self.assert_refused(
            self.spec("jobs:proces"), "module {package}.jobs has no proces; did you mean process?"
        )
        self.assert_refused(self.spec("jobs:queue.rest"), "it has no rest")

    def test_property(self) -> None:
        """A name that can't be looked at is told, too."""
        self.assert_refused(self.spec("jobs:queue.burning"), "disk on fire")

    def test_anything(self) -> None:
        """Any object can be imported."""
        self.assertEqual(load_object(self.spec("jobs:number")), 42)


class FromHereTests(SynchronousTestCase):
    """Modules of the current directory."""

    def test_from_here(self) -> None:
        """The current directory comes first, once."""
        self.patch(sys, "path", ["/elsewhere"])
        import_from_here()
        import_from_here()
        self.assertEqual(sys.path, [str(Path.cwd()), "/elsewhere"])
