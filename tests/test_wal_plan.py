"""What is done so that tables are published, and what is said instead: without a server."""

from __future__ import annotations

from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.walreading.catalog import Facts, Publication, Relation, Tree
from txdoorbell.walreading.changes import OPERATIONS, Table
from txdoorbell.walreading.plan import (
    Plan,
    Trouble,
    advice,
    both_names,
    check_publication,
    make_plan,
    troubles,
)

_OIDS = count(1)
FACTS = Facts(False, "logical", "me", True, 10, 10, "", "txdoorbell", "public", 150018)


def relation(name: str, *, kind: str = "r", identified: bool = True) -> Relation:
    """Return a table of the schema public."""
    return Relation(next(_OIDS), "public", name, kind, "p", identified)


def tree(table: Relation, *below: Relation, above: tuple[Relation, ...] = ()) -> Tree:
    """Return a table that is asked for, with its family."""
    return Tree(Table(table.name), table, below, above)


def publication(
    *members: Relation, name: str = "pub", operations: str = "", all_tables: bool = False
) -> Publication:
    """Return a publication that there is, of everything unless operations are named."""
    published = frozenset(operations.split() or OPERATIONS)
    return Publication(name, all_tables, published, True, frozenset(m.oid for m in members))


def plan(*trees: Tree, there: tuple[Publication, ...] = ()) -> Plan:
    """Return what is to be done about these."""
    return make_plan("pub", trees, {each.name: each for each in there})


class PlanTests(SynchronousTestCase):
    """The publications are ``pub`` and ``pub_inserts``."""

    def setUp(self) -> None:
        """Have tables, of which one has no replica identity."""
        self.jobs, self.mail = relation("jobs"), relation("mail")
        self.bare = relation("bare", identified=False)

    def test_nothing_there(self) -> None:
        """A publication is made, also one without tables: for messages."""
        self.assertEqual(
            plan(tree(self.jobs), tree(self.mail)).statements,
            (
                'CREATE PUBLICATION "pub" FOR TABLE "public"."jobs", "public"."mail"'
                " WITH (publish_via_partition_root = true)",
            ),
        )
        self.assertEqual(
            plan().statements,
            ('CREATE PUBLICATION "pub" WITH (publish_via_partition_root = true)',),
        )

    def test_all_there(self) -> None:
        """Where everything is there, nothing is done, and one publication is read from."""
        done = plan(tree(self.jobs), there=(publication(self.jobs),))
        self.assertEqual(done, Plan((), (), ("pub",)))

    def test_missing(self) -> None:
        """What is missing is added."""
        done = plan(tree(self.jobs), tree(self.mail), there=(publication(self.jobs),))
        self.assertEqual(done.statements, ('ALTER PUBLICATION "pub" ADD TABLE "public"."mail"',))

    def test_nameless(self) -> None:
        """A table whose rows can't be told apart is published apart, without updates."""
        done = plan(tree(self.bare), there=(publication(self.jobs),))
        self.assertEqual(
            done.statements,
            (
                'CREATE PUBLICATION "pub_inserts" FOR TABLE "public"."bare"'
                " WITH (publish = 'insert, truncate', publish_via_partition_root = true)",
            ),
        )
        self.assertEqual(done.publications, both_names("pub"))
        self.assertIn("public.bare has no primary key", done.warnings[0])

    def test_trapped(self) -> None:
        """One whose updates fail, since they are published, is moved: first there, then away."""
        pub, inserts = publication(self.bare), publication(name="pub_inserts")
        self.assertEqual(
            plan(tree(self.bare), there=(pub, inserts)).statements,
            (
                'ALTER PUBLICATION "pub_inserts" ADD TABLE "public"."bare"',
                'ALTER PUBLICATION "pub" DROP TABLE "public"."bare"',
            ),
        )

    def test_trapped_by_all(self) -> None:
        """A publication of all tables can't be mended, so it is warned of."""
        done = plan(tree(self.bare), there=(publication(self.bare, all_tables=True),))
        self.assertEqual(len(done.statements), 1)
        self.assertIn("PostgreSQL refuses them", done.warnings[-1])

    def test_harmless(self) -> None:
        """A publication without updates and deletes is no trap; what it lacks is said."""
        pub = publication(operations="insert truncate")
        done = plan(tree(self.bare), there=(pub,))
        self.assertEqual(done.statements, ('ALTER PUBLICATION "pub" ADD TABLE "public"."bare"',))
        self.assertEqual(
            done.warnings, ("publication pub does not publish update, delete: that rings nothing",)
        )

    def test_heir(self) -> None:
        """Heirs are published beside their parent; one that can't be told apart moves both."""
        heir, other = relation("heir"), relation("other", identified=False)
        done = plan(tree(self.jobs, heir), there=(publication(self.jobs),))
        self.assertEqual(done.statements, ('ALTER PUBLICATION "pub" ADD TABLE "public"."heir"',))
        [statement] = plan(tree(self.jobs, other), there=(publication(),)).statements
        self.assertIn('"pub_inserts" FOR TABLE "public"."jobs", "public"."other"', statement)

    def test_partition(self) -> None:
        """A partitioned table comes with its parts, and a part with its table."""
        part = relation("part")
        whole = relation("whole", kind="p")
        done = plan(tree(whole, part), tree(part, above=(whole,)), there=(publication(whole),))
        self.assertEqual(done.statements, ())

    def test_partition_by_parts(self) -> None:
        """A publication that tells of the parts is made to tell of the whole."""
        part, whole = relation("part"), relation("whole", kind="p")
        by_parts = Publication("pub", False, frozenset(OPERATIONS), False, frozenset([part.oid]))
        self.assertEqual(
            plan(tree(whole, part), there=(by_parts,)).statements,
            ('ALTER PUBLICATION "pub" SET (publish_via_partition_root = true)',),
        )

    def test_settles(self) -> None:
        """Once its statements have been run, a plan has none any more."""
        everything = (tree(self.jobs), tree(self.bare))
        there = (publication(self.jobs), publication(self.bare, name="pub_inserts"))
        self.assertEqual(plan(*everything, there=there).statements, ())

    def test_names(self) -> None:
        """A publication's name leaves room for the second one's."""
        self.assertEqual(check_publication("x" * 55), "x" * 55)
        for name in ("", "x" * 56, "é" * 28, "a\0b"):
            with self.assertRaisesRegex(ValueError, "publication"):
                check_publication(name)


class TroubleTests(SynchronousTestCase):
    """What nobody but an administrator can mend."""

    def test_none(self) -> None:
        """Where all is well, nothing is said."""
        jobs = tree(relation("jobs"))
        troubles(FACTS, [jobs.asked], [jobs])
        self.assertEqual(advice("refused", FACTS), "refused")

    def test_server(self) -> None:
        """A server that is too old, is a standby, or writes too little to its log."""
        for facts, words in {
            FACTS._replace(version=120022): "PostgreSQL 13 or later is needed, this is 12",
            FACTS._replace(in_recovery=True): "the server is a standby",
            FACTS._replace(wal_level="replica"): "wal_level is replica: run ALTER SYSTEM",
        }.items():
            with self.assertRaisesRegex(Trouble, words):
                troubles(facts, [], [])

    def test_standby_names(self) -> None:
        """A session by which COMMITs would be held up is recognised by any way to write it."""
        for names, held_up in {
            "": False,
            "a, b": False,
            "FIRST 2 (a, b)": False,
            "ANY 1 (a, b)": False,
            "2 (a, b)": False,
            '"not*"': False,
            "first": False,
            "*": True,
            "ANY 1 (a, *)": True,
            "first 1(*)": True,
            "TxDoorbell": True,
            'a,"txdoorbell"': True,
            "3 (txdoorbell)": True,
        }.items():
            facts = FACTS._replace(synchronous_names=names)
            self.assertEqual(facts.holds_up_commits, held_up, names)

    def test_advice(self) -> None:
        """An error of the server is given the statement that mends it."""
        plain = FACTS._replace(may_replicate=False)
        for (text, facts), words in {
            ('exceeds "max_wal_senders" (currently 10)', FACTS): "SET max_wal_senders = 20;",
            ("all replication slots are in use", FACTS): "SET max_replication_slots = 20;",
            ("permission denied", plain): 'run ALTER ROLE "me" REPLICATION',
        }.items():
            self.assertIn(words, advice(text, facts))
            self.assertTrue(advice(text, facts).startswith(text))
