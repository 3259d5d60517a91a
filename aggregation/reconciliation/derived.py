"""What the ledger comes to on a day: units of each instrument, and cash of each currency. One statement each.

Only rows that count are added up. Splits and other corporate actions are booked as units in and out, so a sum of the
signed quantities is what is held. A day is the broker's market date, its own rows included.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from django.db import models
from django.db.models import F, Sum
from django.db.models.functions import Coalesce

from aggregation.models import Transaction, TransactionQuerySet
from connections.models import Account

Units = dict[tuple[int, int], Decimal]  # by (account id, instrument id); never 0
Cash = dict[tuple[int, str], Decimal]  # by (account id, currency); 0 where the rows cancel out


class Basis(models.TextChoices):
    """Which of its two dates brings a row into the sum. A row without a settlement date settles as it is traded."""

    TRADED = "traded", "By trade date"
    SETTLED = "settled", "By settlement date"


def quantities(accounts: Iterable[Account | int], *, on: date | None = None, basis: Basis = Basis.TRADED) -> Units:
    """Units per account and instrument at the end of `on`; None takes every row. What comes to nothing is left out."""
    rows = _rows(accounts, on, basis).exclude(instrument=None).exclude(quantity=None)
    sums = rows.values_list("account_id", "instrument_id").annotate(units=Sum("quantity")).order_by()
    return {(account, instrument): units for account, instrument, units in sums if units}


def cash(accounts: Iterable[Account | int], *, on: date | None = None, basis: Basis = Basis.TRADED) -> Cash:
    """Net amounts per account and currency up to the end of `on`; None takes every row.

    A currency without rows has no entry: the books know nothing of it, which is not the same as nothing.
    """
    rows = _rows(accounts, on, basis)
    sums = rows.values_list("account_id", "currency").annotate(amount=Sum("net_amount")).order_by()
    return {(account, currency): amount for account, currency, amount in sums}


def _rows(accounts: Iterable[Account | int], on: date | None, basis: Basis) -> TransactionQuerySet:
    wanted = [account.pk if isinstance(account, Account) else account for account in accounts]
    rows = Transaction.objects.in_books().filter(account__in=wanted)
    if on is None:
        return rows
    if basis is Basis.TRADED:
        return rows.filter(traded_on__lte=on)
    return rows.alias(effective_on=Coalesce(F("settled_on"), F("traded_on"))).filter(effective_on__lte=on)
