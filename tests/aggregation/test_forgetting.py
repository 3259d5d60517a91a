"""A person who goes takes their books along; a run or a row that others lead back to does not go alone."""

import pytest
from django.db.models import RestrictedError

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from sync.models import SyncRun
from tests.journey.books import sync


def test_deleting_a_person_deletes_their_books(connect, person, sandbox):
    connection = connect(person, "james")
    sync(connection)
    [account] = sandbox.truth("james")["accounts"]
    dividend = next(row for row in reversed(account["transactions"]) if row["kind"] == "dividend")
    sandbox.correct(account["number"], dividend["activity_id"], "amount", login="james")
    sync(connection)
    person.delete()
    assert (User.objects.count(), SyncRun.objects.count(), Transaction.objects.count()) == (0, 0, 0)


def test_a_run_cannot_be_deleted_from_under_its_rows(connect, person):
    run = sync(connect(person, "james"))
    with pytest.raises(RestrictedError):
        run.delete()
