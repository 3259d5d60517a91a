"""Whatever happens to the books, in whatever order: the running totals come to what all rows add up to."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, Sum
from django.db.models.functions import Coalesce
from hypothesis.stateful import invariant

from aggregation.ledger import book
from aggregation.models import Instrument, RunningTotal, Source, Transaction
from aggregation.receivers import erase_books
from aggregation.reconciliation.derived import Basis, cash, quantities
from connections.models import Account
from tests.aggregation.factories import a_record, an_account
from tests.aggregation.test_any_order import Books, run_machine

DAYS = (None, date(2026, 1, 1), date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3), date(2026, 12, 31))


def added_up(account: Account, on: date | None, basis: Basis) -> tuple[dict[Any, Decimal], dict[Any, Decimal]]:
    """The sums over all rows, as a person with a calculator has them."""
    rows = Transaction.objects.in_books().filter(account=account)
    if on is not None:
        day = F("traded_on") if basis is Basis.TRADED else Coalesce(F("settled_on"), F("traded_on"))
        rows = rows.alias(day=day).filter(day__lte=on)
    units = rows.exclude(instrument=None).exclude(quantity=None).order_by().values_list("account_id", "instrument_id")
    money = rows.order_by().values_list("account_id", "currency")
    held = {(pk, thing): amount for pk, thing, amount in units.annotate(Sum("quantity")) if amount}
    return held, {(pk, currency): amount for pk, currency, amount in money.annotate(Sum("net_amount"))}


def agrees(account: Account) -> None:
    for basis in Basis:
        for on in DAYS:
            assert (quantities([account], on=on, basis=basis), cash([account], on=on, basis=basis)) == added_up(
                account, on, basis
            ), (basis, on)


class Totals(Books):
    """Pages, files, corrections, undo, edits, merges and killed workers; the books have tests of their own."""

    def ends_as_one_clean_run(self) -> None:
        """Not here."""

    @invariant()
    def the_totals_are_the_sums(self) -> None:
        agrees(self.account)


@pytest.mark.django_db
def test_after_any_sequence_of_bookings_undo_and_edits_the_totals_are_the_sums():
    run_machine(Totals, 10, 12)


@pytest.mark.endurance
@pytest.mark.django_db(transaction=True)  # the locks of temporary tables stay until the end of one
def test_after_two_thousand_sequences_the_totals_are_the_sums():
    run_machine(Totals, 2000, 25)


@pytest.mark.django_db
def test_rows_that_settle_late_or_never_are_added_up_on_their_day():
    account = an_account()
    days = [None, date(2026, 3, 2), date(2026, 3, 4), date(2026, 3, 30), date(2027, 1, 4)]
    rows = [
        a_record(f"{number}", settled_on=settled, net_amount=Decimal(-100 - number))
        for number, settled in enumerate(days)
    ]
    book(account=account, records=rows, source=Source.API, run_id=None)
    for days_later in (0, 1, 2, 8, 9, 27, 28, 29, 400):
        on = date(2026, 3, 2) + timedelta(days=days_later)
        assert cash([account], on=on, basis=Basis.SETTLED) == added_up(account, on, Basis.SETTLED)[1]


@pytest.mark.django_db
def test_a_row_changed_by_hand_in_the_database_or_told_of_another_thing_is_counted_there():
    account, other = an_account(), an_account()
    book(account=account, records=[a_record("1"), a_record("2")], source=Source.API, run_id=None)
    bond = Instrument.objects.create(key="bond:X:USD", symbol="X", asset_class="bond", currency="USD")
    Transaction.objects.filter(external_id="1").update(instrument=bond, currency="EUR", quantity=None)
    Transaction.objects.filter(external_id="2").update(account=other, net_amount=Decimal("-0.0000000001"))
    agrees(account)
    agrees(other)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM aggregation_transaction WHERE account_id = %s", [other.pk])
    agrees(other)


@pytest.mark.django_db
def test_what_is_erased_leaves_no_total_behind():
    account = an_account()
    book(account=account, records=[a_record("1")], source=Source.API, run_id=None)
    erase_books(connection=account.connection, dry_run=False)
    assert not RunningTotal.objects.filter(account=account).exists()
    account.delete()
