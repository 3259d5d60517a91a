"""The stage on which the contract of the connectors is played."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from connections.brokers import ibkr_replies
from tests.conformance.stage import Stage, make_quick, set_up
from tests.conformance.ways import Way
from tests.plugins.sandbox_server import Sandbox

if TYPE_CHECKING:
    from pytest_django.plugin import DjangoDbBlocker


@pytest.fixture(scope="class")
def settled(
    way: Way, sandbox_server: str, django_db_setup: None, django_db_blocker: "DjangoDbBlocker"
) -> Iterator[Stage]:
    """A way's login, connected and synced once for all tests of a class, inside a transaction of their own."""
    from django.db import transaction

    with django_db_blocker.unblock(), transaction.atomic():
        with set_up(way, sandbox_server) as stage:
            yield stage
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def by_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of the hours in which Interactive Brokers is maintained every night: there a 503 means just that."""
    monkeypatch.setattr(ibkr_replies, "maintenance_until", lambda now: None)


@pytest.fixture
def stage(settled: Stage, db: None) -> Iterator[Stage]:
    """The login as it was settled: what a test changes is rolled back to a savepoint."""
    settled.take_up()
    yield settled
    settled.sandbox.clear_faults()
    settled.sandbox.control("clock", real=True)
    settled.sandbox.control("ibkr/switches", page_size=100)
    settled.put_down()


@pytest.fixture
def swift(way: Way, sandbox: Sandbox, unpaced: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a sign-in of a test's own: no pacing, no pauses."""
    make_quick(way, sandbox, monkeypatch)
