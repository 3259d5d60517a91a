"""Files that tell of the same rows, through upload and ledger: the union is booked, in either order."""

from decimal import Decimal

import pytest
from django.db.models import Sum

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.models import Account
from sync import sync_service, tasks
from sync.models import RunState, SyncRun
from tests.aggregation.factories import a_connection, an_account
from tests.sync.samples import real_export

OLDER, NEWER = "robinhood-options-2018-2020h1.csv", "robinhood-options-2020h2.csv"


def import_into(account: Account, name: str) -> SyncRun:
    run = sync_service.request_import(
        user=account.connection.user, account=account, name=name, content=real_export(name)
    )
    tasks.import_file(run.pk)
    run.refresh_from_db()
    return run


@pytest.mark.parametrize(("first", "second"), [(OLDER, NEWER), (NEWER, OLDER)])
def test_two_long_exports_that_overlap_by_a_month_give_their_union(person: User, first: str, second: str) -> None:
    """15 of the rows are equal to another in every cell and all the same real."""
    account = an_account(a_connection(person))
    added = import_into(account, first).inserted + import_into(account, second).inserted
    booked = Transaction.objects.filter(account=account)
    assert added == booked.count() == 1029
    assert booked.aggregate(total=Sum("net_amount"))["total"] == Decimal("3.31")


def test_shares_of_a_vest_told_by_two_files_are_delivered_once(person: User) -> None:
    account = an_account(a_connection(person))
    import_into(account, "schwab-equity-awards-rsu.csv")
    import_into(account, "schwab-brokerage-rsu.csv")
    delivered = Transaction.objects.filter(account=account, kind="transfer_in")
    assert [(row.quantity, row.subtype) for row in delivered] == [(200, "stock plan")]


def test_a_file_of_several_accounts_is_not_booked_into_one(person: User) -> None:
    run = import_into(an_account(a_connection(person)), "fidelity-history-2025-all-accounts.csv")
    assert (run.state, run.error) == (
        RunState.FAILED,
        "The file has rows of 5 accounts. Say which account each belongs to, or export each account by itself.",
    )
    assert not Transaction.objects.exists()
