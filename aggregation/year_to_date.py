"""What came in and what it cost since the first of January, per account and currency. One query for all accounts."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import DecimalField, F, Q, Sum, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from aggregation.models import Transaction
from connections.brokers.records import TransactionKind
from connections.models import Account

ZERO = Value(Decimal(0), output_field=DecimalField())
INCOME = Q(kind__in=[TransactionKind.DIVIDEND, TransactionKind.INTEREST])


@dataclass(frozen=True, slots=True)
class YearToDate:
    """Signed as the person sees it: `income` is dividends and interest before taxes and fees, interest paid taken off;
    `fees` and `taxes` are positive when they were paid."""

    currency: str
    income: Decimal
    fees: Decimal
    taxes: Decimal


def year_to_date(accounts: Iterable[Account], today: date) -> dict[int, list[YearToDate]]:
    """By account; of rows that count, by their trade date, up to `today`. An account without rows is not there."""
    rows = Transaction.objects.in_books().filter(
        account__in=[account.pk for account in accounts], traded_on__gte=date(today.year, 1, 1), traded_on__lte=today
    )
    sums = rows.values("account_id", "currency").annotate(
        income=_sum(F("net_amount") + F("fees") + F("taxes"), INCOME),
        fees_inside=_sum(F("fees"), Q()),
        fee_rows=_sum(F("net_amount") + F("fees") + F("taxes"), Q(kind=TransactionKind.FEE)),
        taxes_inside=_sum(F("taxes"), Q()),
        tax_rows=_sum(F("net_amount") + F("fees") + F("taxes"), Q(kind=TransactionKind.TAX)),
    )
    found: dict[int, list[YearToDate]] = defaultdict(list)
    for row in sums.order_by("account_id", "currency"):
        found[row["account_id"]].append(
            YearToDate(
                row["currency"],
                row["income"],
                row["fees_inside"] - row["fee_rows"],
                row["taxes_inside"] - row["tax_rows"],
            )
        )
    return dict(found)


def _sum(amount: Combinable, which: Q) -> Coalesce:
    return Coalesce(Sum(amount, filter=which), ZERO)
