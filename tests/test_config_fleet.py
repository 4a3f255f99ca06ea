"""Configuration files of a fleet, and of the second bell: locks, hosts and tables."""

from __future__ import annotations

from tests.test_config import HERE, ConfigTestCase
from txdoorbell.leadership import lock_key
from txdoorbell.settling.settings import Wal


class GoodTests(ConfigTestCase):
    """What can be said."""

    def test_fleet(self) -> None:
        """Locks, and what a fleet has to know, arrive."""
        config = self.read(
            'lock_interval = 0.5\nmax_loops = 2\nhosts = 40\nhost = "${HOST}"\n'
            '[[loop]]\nname = "a"\nlock = "billing"\n[[loop]]\nname = "b"\n'
            '[[loop]]\nname = "c"\nlock = "mail"\n[[loop]]\nname = "d"\nlock = "mail"\n',
            HOST="anna",
        )
        settings = config.settings
        self.assertEqual((settings.lock_interval, settings.max_loops), (0.5, 2))
        self.assertEqual(settings.hosts, 40)
        self.assertEqual((settings.host, config.locks), ("anna", ("billing", "mail")))

    def test_no_lock_to_bound(self) -> None:
        """A bound on loops with locks, where there is none, does nothing, and that is said."""
        config = self.read(f'max_loops = 2\n[[function]]\ncall = "{HERE}:process"\n')
        (warning,) = config.warnings
        self.assertIn("max_loops bounds nothing", warning)

    def test_tables(self) -> None:
        """Tables arrive: those of every loop, and those of a function."""
        config = self.read(
            'tables = ["jobs", "JOBS"]\nwal = { publication = "shop", streaming = true }\n'
            f'[[function]]\ncall = "{HERE}:process"\ntables = ["shop.mail"]\n'
        )
        self.assertEqual(config.settings.tables, ("jobs",))
        self.assertEqual(config.settings.wal, Wal("shop", True))
        self.assertEqual(dict(config.functions[0].options), {"tables": ("shop.mail",)})
        self.assertEqual(config.tables, {"jobs", "shop.mail"})


class BadTests(ConfigTestCase):
    """What can't."""

    def test_collision(self) -> None:
        """Two names that come to the same key of PostgreSQL's would be one lock."""
        first, second = "lock 49435", "lock 76534"
        self.assertEqual(lock_key(first), lock_key(second))
        said = self.only(
            f'[[loop]]\nname = "a"\nlock = "{first}"\n[[loop]]\nname = "b"\nlock = "{second}"\n'
        )
        self.assertIn("can't tell it from the lock lock 49435 of loop[0]: rename one", said)

    def test_fleet(self) -> None:
        """What can't be said of locks."""
        said = self.refused(
            'lock_interval = 0\nmax_loops = 0\nhost = ""\n[[loop]]\nname = "a"\nlock = "x"\n'
            '[[loop]]\nname = "b"\nlock = 3\n'
        )
        expected = [
            "line 1: lock_interval: expected a number of seconds, more than 0, not 0",
            "line 2: max_loops: expected a whole number, 1 or more, not 0",
            "line 3: host: expected a name, not ''",
            "line 9: loop[1].lock: expected a name, not 3",
        ]
        self.assertEqual(said, expected)

    def test_tables(self) -> None:
        """What is no table."""
        said = self.refused(
            f'tables = ["a b"]\n[[function]]\ncall = "{HERE}:process"\ntables = "jobs"\n'
        )
        self.assertIn("line 1: tables: table 'a b' is no name: NAME or SCHEMA.NAME", said[0])
        self.assertEqual(
            said[1],
            "line 4: function[0].tables: expected names of tables, such as "
            '["jobs", "shop.mail"], not \'jobs\'',
        )

    def test_publication(self) -> None:
        """A publication's name leaves room for that of its second half."""
        said = self.only(f'[wal]\npublication = "{60 * "x"}"\n')
        self.assertIn("line 2: wal.publication: publication 'xxx", said)
        self.assertIn("must have 1 to 55 bytes of UTF-8", said)
