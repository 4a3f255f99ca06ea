"""Every code block of the documentation runs, and does what the page says."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any
from unittest import TestResult, TestSuite

from psycopg2.extensions import parse_dsn
from twisted.internet.defer import Deferred
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests import claims, pages
from tests.servers import shared_server

VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}


class PageTests(TestCase):
    """One test per page; see :mod:`tests.pages` for what is run, and how."""

    timeout = 60

    def test_main(self) -> Deferred[None] | None:
        """A page's main program finds a server where a program of its reader would."""
        page = Path(self.mktemp()).with_suffix(".rst")
        page.write_text(
            ".. code-block:: python\n\n"
            "   import psycopg2\n\n"
            "   async def main(reactor):\n"
            "       psycopg2.connect(dbname='postgres').close()\n"
        )
        return self.run_page(page)

    def run_page(self, page: Path) -> Deferred[None] | None:
        """Run a page's blocks, then its test cases, then its main program."""
        namespace = pages.run(page)
        self.run_cases([value for value in namespace.values() if is_case(value, page)])
        main = namespace.get("main")
        return self.run_main(main) if inspect.iscoroutinefunction(main) else None

    def run_cases(self, cases: list[Any]) -> None:
        """Run test cases, all of which must pass."""
        names = [case(name) for case in cases for name in dir(case) if name.startswith("test")]
        result = TestResult()
        TestSuite(names).run(result)
        problems = [text for _, text in (*result.errors, *result.failures)]
        self.assertEqual(result.testsRun, len(names))
        self.assertTrue(result.wasSuccessful(), "\n".join(problems))

    def run_main(self, main: Any) -> Deferred[None]:
        """Run ``main(reactor)``, for which libpq's environment leads to a real server."""
        from twisted.internet import reactor

        for name, value in parse_dsn(shared_server().dsn).items():
            self.set_variable(VARIABLES[name], value)
        return Deferred.fromCoroutine(main(reactor))

    def set_variable(self, name: str, value: str) -> None:
        """Set an environment variable, as libpq sees it too, until the end of the test."""
        before = os.environ.get(name)
        os.environ[name] = value
        if before is None:
            self.addCleanup(os.environ.pop, name)
        else:
            self.addCleanup(os.environ.__setitem__, name, before)


def is_case(value: object, page: Path) -> bool:
    """Say whether this is a test case that the page itself has made."""
    return (
        isinstance(value, type)
        and issubclass(value, SynchronousTestCase)
        and value.__module__ == page.stem
    )


def add_test(page: Path) -> None:
    """Add the test of a page."""

    def test(self: PageTests) -> Deferred[None] | None:
        return self.run_page(page)

    test.__doc__ = f"What {page.name} shows is what happens."
    setattr(PageTests, f"test_{page.stem.replace('-', '_').lower()}", test)


for _page in pages.pages():
    if any(pages.blocks(_page)):
        add_test(_page)


class ClaimTests(SynchronousTestCase):
    """No block of any page goes without a test."""

    def shown(self) -> list[pages.Shown]:
        """Return all blocks of all pages."""
        return [block for page in pages.pages() for block in pages.shown(page)]

    def test_each(self) -> None:
        """Each block has a test, or a reason why it needs none."""
        orphans = [
            f"{block.page}, line {block.line}: a block of {block.kind}"
            for block in self.shown()
            if not claims.claim_of(block)
        ]
        self.assertEqual(orphans, [], "\nLet a test run it, and claim it in tests/claims.py")

    def test_new_one(self) -> None:
        """One that somebody adds without a test is found, of whatever kind."""
        page = Path(self.mktemp()).with_suffix(".rst")
        for kind in ("console", "toml", "sql", "ini", "text"):
            page.write_text(f"* So:\n\n  .. code-block:: {kind}\n\n     new\n")
            (block,) = pages.shown(page)
            self.assertIsNone(claims.claim_of(block))
        page.write_text(".. literalinclude:: examples/new.py\n")
        (block,) = pages.shown(page)
        self.assertIsNone(claims.claim_of(block))

    def test_unseen(self) -> None:
        """Code that is written in a way that no test sees is a mistake."""
        page = Path(self.mktemp()).with_suffix(".rst")
        for text in ("So::\n\n   $ new\n", ".. parsed-literal::\n\n   new\n", ">>> new\n"):
            page.write_text(text)
            with self.assertRaisesRegex(ValueError, "line 1: write it as"):
                list(pages.shown(page))

    def test_tests(self) -> None:
        """The tests that are named exist; those that follow a page name it."""
        for test in {*claims.ALONE.values(), *claims.FILES.values(), claims.PYTHON}:
            self.assertTrue(callable(namedAny(test)), test)
        for page, test in claims.FOLLOWED.items():
            self.assertRegex(inspect.getsource(namedAny(test)), f'follow\\("(docs/)?{page}"\\)')

    def test_none_stale(self) -> None:
        """Nothing is claimed that isn't there, and what stands alone does."""
        blocks = self.shown()
        included = {block.kind for block in blocks if block.directive == "literalinclude"}
        self.assertEqual(set(claims.FILES) - included, set())
        self.assertEqual(set(claims.FOLLOWED) - {block.page for block in blocks}, set())
        places = [(block.page, block.kind) for block in blocks]
        self.assertEqual([places.count(place) for place in claims.ALONE], [1] * len(claims.ALONE))
        exempt = [block for block in blocks if claims.exemption(block)]
        self.assertEqual(len(exempt), len(claims.EXEMPT))

    if not (pages.ROOT / "docs").is_dir():
        skip = "the documentation is not installed"


class RunnerTests(SynchronousTestCase):
    """The runner itself finds what is wrong with a page."""

    def page(self, text: str) -> Path:
        """Write a page."""
        page = Path(self.mktemp()).with_suffix(".rst")
        page.write_text(text, encoding="utf-8")
        return page

    def test_in_order(self) -> None:
        """Blocks share a namespace; what is no Python isn't run."""
        page = self.page(
            ".. testsetup::\n\n   one = 1\n\nText.\n\n"
            ".. code-block:: console\n\n   $ rm -rf /\n\n"
            "* .. code-block:: python\n     :emphasize-lines: 1\n\n"
            "     two = one + 1\n\n     three = two + 1\n\nText.\n"
        )
        namespace = pages.run(page)
        self.assertEqual((namespace["two"], namespace["three"]), (2, 3))

    def test_module(self) -> None:
        """A block with a file's name can be imported by the next, and by no other page."""
        page = self.page(
            ".. code-block:: python\n   :caption: txdoorbell_example.py\n\n   answer = 42\n\n"
            ".. code-block:: python\n\n   from txdoorbell_example import answer\n"
        )
        self.assertEqual(pages.run(page)["answer"], 42)
        with self.assertRaises(ImportError):
            __import__("txdoorbell_example")

    def test_doctest(self) -> None:
        """An example of the interpreter is compared with what it really says."""
        right = self.page(".. code-block:: python\n\n   >>> 6 * 7\n   42\n")
        wrong = self.page("\n\n.. code-block:: python\n\n   >>> a = 6\n   >>> a * 7\n   43\n")
        pages.run(right)
        with self.assertRaisesRegex(AssertionError, r"line 6: got '42\\n'"):
            pages.run(wrong)

    def test_error(self) -> None:
        """An error in a block points to the line of the page."""
        page = self.page("Title\n=====\n\n.. code-block:: python\n\n   a = 1\n   b = a / 0\n")
        try:
            pages.run(page)
        except ZeroDivisionError as error:
            traceback = error.__traceback__
            while traceback and traceback.tb_next:
                traceback = traceback.tb_next
            self.assertEqual(traceback and traceback.tb_lineno, 7)

    def test_empty(self) -> None:
        """A directive without code is a mistake."""
        with self.assertRaisesRegex(ValueError, "the block is empty"):
            pages.run(self.page(".. code-block:: python\n\nText.\n"))

    def test_other_code(self) -> None:
        """Python that would not be run is a mistake, too."""
        for directive in ("code:: python", "code-block:: python3", "code-block::", "doctest::"):
            with self.assertRaisesRegex(ValueError, "line 1: write it as"):
                pages.run(self.page(f".. {directive}\n\n   1\n"))
