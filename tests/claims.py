"""
Which test it is that each block of the documentation has.

Nothing here runs a block; ``ClaimTests`` in :mod:`tests.test_docs` fails for one that nobody
claims. Whoever adds a page with commands writes a test that follows it (:mod:`tests.readers`), and
a line in :data:`FOLLOWED`.
"""

from __future__ import annotations

from tests.pages import Shown

PYTHON = "tests.test_docs.PageTests"
"""Runs all Python of all pages."""

HOWTO = "tests.test_howto"
FOLLOWED = {
    "README.rst": f"{HOWTO}.HowtoTests.test_readme",
    "quickstart.rst": f"{HOWTO}.HowtoTests.test_quick_start",
    "howto-jobs.rst": f"{HOWTO}.HowtoTests.test_jobs",
    "howto-outbox.rst": f"{HOWTO}.HowtoTests.test_outbox",
    "howto-cache.rst": f"{HOWTO}.HowtoTests.test_cache",
    "howto-periodic.rst": f"{HOWTO}.HowtoTests.test_periodic",
    "sql.rst": f"{HOWTO}.HowtoTests.test_sql",
    "choosing-a-bell.rst": f"{HOWTO}.BellTests.test_choosing",
    "commands.rst": f"{HOWTO}.LookUpTests.test_commands",
    "status.rst": f"{HOWTO}.LookUpTests.test_status",
    "configuration.rst": f"{HOWTO}.ConfigurationTests.test_configuration",
    "deploying.rst": f"{HOWTO}.DeployingTests.test_log",
    "examples.rst": f"{HOWTO}.ExampleTests.test_shop",
    "fleet.rst": f"{HOWTO}.HowtoTests.test_fleet",
    "performance.rst": f"{HOWTO}.PerformanceTests.test_bench",
}
"""Pages, and the test that follows them from top to bottom: commands, SQL, files, output."""

ALONE = {
    ("howto-pooler.rst", "toml"): f"{HOWTO}.PoolerTests.test_pooler",
    ("howto-pooler.rst", "ini"): f"{HOWTO}.PoolerTests.test_pooler",
    ("howto-pooler.rst", "console"): f"{HOWTO}.PoolerTests.test_pooler",
    ("sql.rst", "json"): f"{HOWTO}.HowtoTests.test_sql_operation",
}
"""The only block of its kind on a page, and the test that takes it from there."""

PEERS = "tests.peers.test_programs"
FILES = {
    # The commands in its first lines make a user and a service: no test may do that to a machine.
    "examples/doorbell.service": "tests.test_supervisor.UnitTests.test_commands",
    "examples/own_connection.tac": "tests.test_examples.OwnConnectionTests.test_rings",
    "examples/jobs/schema.sql": "tests.test_examples.ShopTests.test_inserted",
    "examples/jobs/jobs.py": "tests.test_examples.ShopTests.test_inserted",
    "examples/jobs/shop.tac": "tests.test_examples.ShopTests.test_order",
    "examples/coming_from/buildbot_after.tac": f"{PEERS}.BuildbotTests.test_after",
    "examples/coming_from/depeche_store.py": f"{PEERS}.DepecheTests.test_after",
    "examples/coming_from/depeche_before.py": f"{PEERS}.DepecheTests.test_before",
    "examples/coming_from/depeche_after.tac": f"{PEERS}.DepecheTests.test_after",
    "examples/coming_from/pygresql_before.py": f"{PEERS}.PyGreSQLTests.test_before",
    "examples/coming_from/pygresql_after.py": f"{PEERS}.PyGreSQLTests.test_after",
    "examples/coming_from/pgnotifier_before.py": f"{PEERS}.PgnotifierTests.test_before",
    "examples/coming_from/pgnotifier_after.py": f"{PEERS}.PgnotifierTests.test_after",
    "examples/coming_from/asynqueue_before.py": f"{PEERS}.AsynqueueTests.test_before",
    "examples/coming_from/asynqueue_after.py": f"{PEERS}.AsynqueueTests.test_after",
}
"""Files that pages include, and a test that runs them."""

EXEMPT = {
    ("concepts.rst", "NOTIFY jobs  -->"): "it is a drawing, neither code nor what a program prints",
    ("coming-from.rst", "examples/coming_from/buildbot_before.tac"): (
        "buildbot.util.loop is published no more, so there is nothing that would run it"
    ),
}
"""Blocks that no test can run, by how they begin, and why that is."""

FOLLOWED_KINDS = ("console", "text", "postgresql")


def claim_of(block: Shown) -> str | None:
    """Return the test that a block has, or why it needs none; None when it has neither."""
    if block.directive == "literalinclude":
        return FILES.get(block.kind) or exemption(block)
    if block.directive == "testsetup" or block.kind == "python":
        return PYTHON
    if (block.page, block.kind) in ALONE:
        return ALONE[block.page, block.kind]
    if block.caption or block.kind in FOLLOWED_KINDS:
        return FOLLOWED.get(block.page) or exemption(block)
    return exemption(block)


def exemption(block: Shown) -> str | None:
    """Return why a block needs no test."""
    for (page, beginning), reason in EXEMPT.items():
        if block.page == page and (block.text or block.kind).startswith(beginning):
            return reason
    return None
