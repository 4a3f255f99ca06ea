"""What is installed, how it is found, and that nothing of Twisted's is harmed by it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import twisted
from twisted.application.service import IServiceMaker, ServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import txdoorbell

CHECKOUT = Path(txdoorbell.__file__).resolve().parent.parent
NO_CHECKOUT = None if (CHECKOUT / "setup.cfg").exists() else "this is an installed txdoorbell"
TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"


def no_builder() -> str | None:
    """Tell why no wheel can be built here, without the network; None where it can."""
    try:
        version("pip")
        enough = tuple(map(int, version("setuptools").split(".")[:2])) >= (70, 1)
        return None if enough else "setuptools is too old to build a wheel by itself"
    except PackageNotFoundError as error:
        return str(error)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program that knows nothing of our paths, and return what it says.

    :raises AssertionError: it failed; the text is what it said.
    """
    environ = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env={**environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise AssertionError(f"{command} failed:\n{done.stdout}")
    return done.stdout


def python(script: str) -> str:
    """Run a script in a new Python that finds what we find."""
    setup = f"import sys; sys.path[:] = {sys.path!r}\n"
    return run(sys.executable, "-c", setup + script).strip()


class PluginTests(SynchronousTestCase):
    """``twistd`` knows the command ``doorbell``."""

    def test_listed(self) -> None:
        """Twisted finds one plugin of ours."""
        found = [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "doorbell"]
        makers = [maker for maker in found if isinstance(maker, ServiceMaker)]
        self.assertEqual([maker.module for maker in makers], ["txdoorbell.tap"])

    def test_light(self) -> None:
        """The help of ``twistd`` imports the plugin of everybody; ours costs nothing."""
        script = (
            "import twisted.plugins.txdoorbell_plugin\n"
            "ours = [name for name in sys.modules if name.split('.')[0] == 'txdoorbell']\n"
            "print(ours, 'twisted.internet.reactor' in sys.modules)"
        )
        self.assertEqual(python(script), "[] False")


class ImportTests(SynchronousTestCase):
    """What ``import txdoorbell`` gives, and what it does not do."""

    def test_light(self) -> None:
        """Neither a driver nor a reactor is imported, so both may be missing or chosen later."""
        unwanted = {"psycopg2", "txpostgres", "twisted.internet.reactor", "prometheus_client"}
        script = f"import txdoorbell; print([name for name in {unwanted} if name in sys.modules])"
        self.assertEqual(python(script), "[]")

    def test_names(self) -> None:
        """Every public name is there, also without a driver, and listed by ``dir``."""
        script = (
            "sys.modules['psycopg2'] = None\n"
            "import txdoorbell\n"
            "print([name for name in txdoorbell.__all__ if not hasattr(txdoorbell, name)])\n"
            "print(set(txdoorbell.__all__) - set(dir(txdoorbell)))\n"
            "print('twisted.internet.reactor' in sys.modules)"
        )
        self.assertEqual(python(script).split("\n"), ["[]", "set()", "False"])

    def test_unknown_name(self) -> None:
        """A name that is not there is an ``AttributeError`` that tells it."""
        with self.assertRaisesRegex(AttributeError, "'txdoorbell' has no attribute 'Gong'"):
            _ = txdoorbell.Gong  # type: ignore[attr-defined]


class LayoutTests(SynchronousTestCase):
    """Mistakes that would only show in somebody's installation."""

    skip = NO_CHECKOUT

    def test_no_package_of_twisteds(self) -> None:
        """An ``__init__.py`` of ours in Twisted's places would be removed with its own."""
        self.assertEqual(list((CHECKOUT / "twisted").rglob("__init__.py")), [])

    def test_every_package_is_listed(self) -> None:
        """A sub-package that setup.cfg does not list would be missing in the wheel."""
        setup = ConfigParser()
        setup.read(CHECKOUT / "setup.cfg")
        found = {
            ".".join(path.parent.relative_to(CHECKOUT).parts)
            for path in (CHECKOUT / "txdoorbell").rglob("__init__.py")
        }
        self.assertEqual(set(setup["options"]["packages"].split()), {*found, "twisted.plugins"})


class InstallationTests(SynchronousTestCase):
    """Installed elsewhere, ``twistd`` lists it; removed, all is as before."""

    skip = NO_CHECKOUT or no_builder()

    def setUp(self) -> None:
        """Copy the checkout, and make an environment with a Twisted of its own."""
        self.place = Path(self.mktemp()).absolute()
        self.source = self.place / "source"
        ignore = shutil.ignore_patterns(".*", "_*temp*", "build", "dist", "*.egg-info", "*cache*")
        shutil.copytree(CHECKOUT, self.source, ignore=ignore)
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        venv.create(self.place / "venv", symlinks=True)
        self.python = self.place / "venv" / "bin" / "python"
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.packages = Path(run(self.python, "-c", where).strip())
        tests = shutil.ignore_patterns("test", "__pycache__", "dropin.cache", "txdoorbell*")
        shutil.copytree(Path(twisted.__file__).parent, self.packages / "twisted", ignore=tests)
        others = [entry for entry in sys.path if Path(entry).name == "site-packages"]
        (self.packages / "others.pth").write_text("\n".join(others))

    def pip(self, *arguments: str | Path) -> str:
        """Run pip for that environment, off the network."""
        return run(sys.executable, "-m", "pip", "--python", self.python, *arguments)

    def install(self, *what: str | Path) -> None:
        """Install something there, with no look at what it needs."""
        self.pip("install", "-q", "--no-deps", "--no-index", "--ignore-installed", *what)

    def twisted_files(self) -> dict[str, str]:
        """Return the contents of all of Twisted's files there, as far as they are source."""
        return {
            str(path.relative_to(self.packages)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (self.packages / "twisted").rglob("*.py")
        }

    def assert_listed(self, expected: bool) -> None:
        """Look into ``twistd --help``, in a directory that has nothing to do with the checkout."""
        shown = run(self.python, "-c", TWISTD, "--help", cwd=self.place)
        self.assertEqual("Run functions when PostgreSQL rings" in shown, expected, shown)

    def uninstall(self) -> None:
        """Remove it, and see that it is gone."""
        self.pip("uninstall", "-q", "-y", "txdoorbell")
        self.assert_listed(False)

    def test_wheel(self) -> None:
        """The wheel has the plugin, ``py.typed`` and the command, and leaves without a trace."""
        before = self.twisted_files()
        self.assert_listed(False)
        wheels = self.place / "wheels"
        self.pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", wheels, self.source)
        self.install(*wheels.iterdir())
        self.assert_listed(True)
        self.assertTrue((self.packages / "txdoorbell" / "py.typed").exists())
        self.assertTrue(self.python.with_name("txdoorbell").exists())
        script = "import txdoorbell; print(txdoorbell.__file__)"
        shown = run(self.python, "-c", script, cwd=self.place).strip()
        self.assertTrue(Path(shown).is_relative_to(self.packages), shown)
        self.uninstall()
        self.assertEqual(self.twisted_files(), before)

    def test_editable(self) -> None:
        """An editable installation lists the command as well, and leaves without a trace."""
        before = self.twisted_files()
        self.install("--no-build-isolation", "-e", self.source)
        self.assert_listed(True)
        self.uninstall()
        self.assertEqual(self.twisted_files(), before)

    def test_source_distribution(self) -> None:
        """It holds the tests, the pages and the news fragments, and no cache."""
        script = "from setuptools.build_meta import build_sdist; print(build_sdist('.'))"
        archive = self.source / run(sys.executable, "-c", script, cwd=self.source).split()[-1]
        with tarfile.open(archive) as packed:
            names = {name.partition("/")[2] for name in packed.getnames()}
        wanted = {
            "LICENSE",
            "Makefile",
            "docs/conf.py",
            "tests/servers.py",
            "newsfragments/README.rst",
        }
        self.assertEqual(wanted - names, set())
        self.assertEqual([name for name in names if "cache" in name or name.endswith(".pyc")], [])
