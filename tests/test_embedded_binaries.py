"""Where PostgreSQL's programs are found, and what is done for a user who can't read them."""

from __future__ import annotations

import os
import sys
import tempfile
from multiprocessing.pool import ThreadPool
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.servers import fake_programs, open_folder
from txdoorbell.embedded import EmbeddedUnavailable, find_binaries
from txdoorbell.embedded.binaries import VARIABLE, WHEEL, Account, runnable, version

NOT_ROOT = None if os.geteuid() == 0 else "only root runs PostgreSQL as somebody else"


class FindTests(SynchronousTestCase):
    """Programs come from the directory that is named, or else from the wheel."""

    def fake_wheel(self, *installations: str) -> Path:
        """Put a package in Python's way that must not be imported."""
        site = Path(self.mktemp()).absolute()
        for name in installations:
            fake_programs(site / WHEEL / name / "bin")
        (site / WHEEL / "__init__.py").write_text("raise AssertionError('this was imported')")
        self.patch(sys, "path", [str(site)])
        return site / WHEEL

    def test_named(self) -> None:
        """The directory that the variable names goes before the wheel."""
        self.fake_wheel("pginstall18")
        named = fake_programs(Path(self.mktemp()).absolute())
        self.assertEqual(find_binaries({VARIABLE: str(named)}), named)

    def test_named_without_programs(self) -> None:
        """A wrong directory is an error that names it; the wheel does not step in."""
        self.fake_wheel("pginstall18")
        with self.assertRaises(EmbeddedUnavailable) as caught:
            find_binaries({VARIABLE: "/nowhere/bin"})
        self.assertIn("/nowhere/bin", str(caught.exception))
        self.assertIn(VARIABLE, str(caught.exception))

    def test_newest_of_the_wheel(self) -> None:
        """The wheel holds several PostgreSQLs; the newest is taken, and the wheel not imported."""
        wheel = self.fake_wheel("pginstall", "pginstall9", "pginstall18", "pginstall17")
        self.assertEqual(find_binaries({}), wheel / "pginstall18" / "bin")

    def test_empty_variable(self) -> None:
        """A variable that is set to nothing is one that is not set."""
        wheel = self.fake_wheel("pginstall18")
        self.assertEqual(find_binaries({VARIABLE: ""}), wheel / "pginstall18" / "bin")

    def test_nothing(self) -> None:
        """Without either, one line says what to install, or what to set."""
        self.patch(sys, "path", [])
        with self.assertRaises(EmbeddedUnavailable) as caught:
            find_binaries({})
        self.assertIn('pip install "txdoorbell[embedded]"', str(caught.exception))
        self.assertIn(VARIABLE, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))


class VersionTests(SynchronousTestCase):
    """The programs say their version to those who can run them."""

    def test_version(self) -> None:
        """The major version is what decides whether a cluster can be used."""
        self.assertEqual(version(fake_programs(Path(self.mktemp()).absolute())), "9")

    def test_cannot_run(self) -> None:
        """A directory without programs has no version, and the error names it."""
        self.assertIsNone(version(Path("/nowhere/bin")))
        with self.assertRaisesRegex(EmbeddedUnavailable, "this user can't run .* /nowhere/bin"):
            runnable(Path("/nowhere/bin"), None)

    def test_unknown_user(self) -> None:
        """A machine without the user that root needs says so."""
        with self.assertRaisesRegex(EmbeddedUnavailable, "no user txdoorbell-nobody"):
            Account.of("txdoorbell-nobody")


class CopyTests(SynchronousTestCase):
    """Root's server runs as ``nobody``, who may be unable to read root's own wheel."""

    skip = NOT_ROOT

    def setUp(self) -> None:
        """Make a wheel in a private home, and a cache that everybody can reach."""
        home = Path(tempfile.mkdtemp(dir=open_folder(self)))
        self.home = home
        self.binaries = fake_programs(home / WHEEL / "pginstall9" / "bin")
        for part in ("lib", "share"):
            (self.binaries.parent / part).mkdir(mode=0o700)
        (self.binaries.parent / "share" / "postgres.bki").touch(mode=0o600)
        (home / f"{WHEEL}.libs").mkdir()
        (home / f"{WHEEL}.libs" / "libpq.so").touch()
        self.cache = open_folder(self)
        self.nobody = Account.of("nobody")

    def test_copied(self) -> None:
        """``nobody`` gets a copy to run, with its libraries where the programs look for them."""
        binaries, number = runnable(self.binaries, self.nobody, [self.cache])
        self.assertTrue(binaries.is_relative_to(self.cache / "txdoorbell"))
        self.assertEqual(number, "9")
        self.assertEqual(version(binaries, self.nobody), "9")
        self.assertEqual((binaries.parent / "share/postgres.bki").stat().st_mode & 0o777, 0o644)
        self.assertTrue((binaries.parent.parent.parent / f"{WHEEL}.libs" / "libpq.so").exists())

    def test_source_is_left_alone(self) -> None:
        """No mode of root's own files is changed."""
        runnable(self.binaries, self.nobody, [self.cache])
        self.assertEqual(self.home.stat().st_mode & 0o777, 0o700)
        share = self.binaries.parent / "share"
        self.assertEqual(share.stat().st_mode & 0o777, 0o700)

    def test_reused(self) -> None:
        """The second run copies nothing, and a newer wheel gets a copy of its own."""
        first, _ = runnable(self.binaries, self.nobody, [self.cache])
        made = first.stat()
        again, _ = runnable(self.binaries, self.nobody, [self.cache])
        self.assertEqual((again, again.stat()), (first, made))
        fake_programs(self.binaries, "10.1")
        newer, number = runnable(self.binaries, self.nobody, [self.cache])
        self.assertNotEqual(newer, first)
        self.assertEqual(number, "10")

    def test_two_at_once(self) -> None:
        """Two processes that start together end with one copy, and no half of another."""
        with ThreadPool(2) as pool:
            found = pool.starmap(runnable, [(self.binaries, self.nobody, [self.cache])] * 2)
        self.assertEqual(found[0], found[1])
        self.assertEqual(len(list((self.cache / "txdoorbell").iterdir())), 1)

    def test_unsafe_cache(self) -> None:
        """A place that somebody else can write to, or has made, is passed over."""
        loose = open_folder(self)
        loose.chmod(0o777)
        taken = open_folder(self)
        (taken / "txdoorbell").mkdir()
        os.chown(taken / "txdoorbell", self.nobody.uid, self.nobody.gid)
        binaries, _ = runnable(self.binaries, self.nobody, [loose, taken, self.cache])
        self.assertTrue(binaries.is_relative_to(self.cache))
        self.assertEqual(list(loose.iterdir()) + list((taken / "txdoorbell").iterdir()), [])
        with self.assertRaisesRegex(EmbeddedUnavailable, f"no safe place .* {loose} or {taken}"):
            runnable(self.binaries, self.nobody, [loose, taken])

    def test_shared_temporary_directory(self) -> None:
        """A sticky directory serves, as nobody can remove what root makes there."""
        self.cache.chmod(0o1777)
        binaries, _ = runnable(self.binaries, self.nobody, [self.cache])
        self.assertTrue(binaries.is_relative_to(self.cache))

    def test_readable_in_place(self) -> None:
        """Programs that ``nobody`` can run are run where they are."""
        binaries = fake_programs(open_folder(self) / "pginstall9" / "bin")
        self.assertEqual(runnable(binaries, self.nobody, [self.cache]), (binaries, "9"))
        self.assertEqual(list(self.cache.iterdir()), [])

    def test_other_programs_are_not_copied(self) -> None:
        """A system's PostgreSQL is made of parts in many places; that it can't be run is said."""
        binaries = fake_programs(self.home / "bin")
        with self.assertRaisesRegex(EmbeddedUnavailable, f"user nobody can't run .* {binaries}"):
            runnable(binaries, self.nobody, [self.cache])
