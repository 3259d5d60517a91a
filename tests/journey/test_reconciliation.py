"""After a sync the books are held against what the broker reports, by what the worker calls."""

import pytest

from aggregation.models import Break, Reconciliation, Transaction
from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.comparing import reconcile_due
from tests.journey.books import sync

pytestmark = pytest.mark.usefixtures("unpaced")


def test_five_years_at_a_broker_that_tells_all_agree(connect, person):
    connection = connect(person)
    sync(connection)
    assert Reconciliation.objects.for_user(person).due().count() == 2
    assert reconcile_due() == 2
    assert not Break.objects.exists()
    states = Reconciliation.objects.for_user(person)
    assert all(state.compared_at and state.due_at is None and state.items > 1 for state in states)
    assert reconcile_due() == 0


def test_a_row_the_person_leaves_out_is_named_as_the_cause(connect, person, web):
    connection = connect(person)
    sync(connection)
    reconcile_due()
    row = Transaction.objects.in_books().filter(kind="dividend", quantity=None).latest("traded_on")
    web.post(f"/portfolio/transactions/{row.pk}/change", {"do": "exclude"})
    assert reconcile_due() == 1
    found = Break.objects.live().get()
    assert (found.why, found.difference, found.findings[0]["evidence"]) == (Cause.EXCLUDED, row.net_amount, [row.pk])
    web.post(f"/portfolio/transactions/{row.pk}/change", {"do": "bring_back"})
    reconcile_due()
    assert not Break.objects.live().exists()


def test_what_a_broker_does_not_tell_is_named(connect_robinhood, person):
    """The official sign-in of Robinhood tells orders; no dividends, no transfers, not what became of options."""
    sync(connect_robinhood(person, "maria"))
    reconcile_due()
    causes = set(Break.objects.live().values_list("cause", flat=True))
    assert Cause.EXPIRED in causes
    assert Cause.MISSING_HISTORY in causes
    assert Cause.UNKNOWN not in causes
