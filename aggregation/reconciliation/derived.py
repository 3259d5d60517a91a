"""What the ledger comes to on a day: units of each instrument, and cash of each currency. One statement each.

Only rows that count are added up. Splits and other corporate actions are booked as units in and out, so a sum of the
signed quantities is what is held. A day is the broker's market date, its own rows included. It is the running total
less the rows after the day: for the days brokers report of, a few rows however long the books are.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection, models

from connections.models import Account

Units = dict[tuple[int, int], Decimal]  # by (account id, instrument id); never 0
Cash = dict[tuple[int, str], Decimal]  # by (account id, currency); 0 where the rows cancel out


class Basis(models.TextChoices):
    """Which of its two dates brings a row into the sum. A row without a settlement date settles as it is traded."""

    TRADED = "traded", "By trade date"
    SETTLED = "settled", "By settlement date"


# Rows that settle more than ten days after their trade have an index of their own.
LATER = {
    Basis.TRADED: "traded_on > %(on)s",
    Basis.SETTLED: """coalesce(settled_on, traded_on) > %(on)s AND (
        traded_on > %(on)s::date - 11 OR settled_on > traded_on + 10 AND settled_on > %(on)s)""",
}
UNITS = """
SELECT total.account_id, total.instrument_id, round(total.amount - coalesce(later.amount, 0), 18) AS units
FROM aggregation_runningtotal AS total LEFT JOIN (
    SELECT account_id, instrument_id, sum(quantity) AS amount FROM aggregation_transaction
    WHERE account_id = ANY (%(accounts)s) AND status = 'posted' AND instrument_id IS NOT NULL AND {later}
    GROUP BY account_id, instrument_id
) AS later ON later.account_id = total.account_id AND later.instrument_id = total.instrument_id
WHERE total.account_id = ANY (%(accounts)s) AND total.instrument_id IS NOT NULL
    AND total.amount <> coalesce(later.amount, 0)
"""
CASH = """
SELECT total.account_id, total.currency, round(total.amount - coalesce(later.amount, 0), 10)
FROM aggregation_runningtotal AS total LEFT JOIN (
    SELECT account_id, currency, sum(net_amount) AS amount, count(*) AS rows FROM aggregation_transaction
    WHERE account_id = ANY (%(accounts)s) AND status = 'posted' AND {later}
    GROUP BY account_id, currency
) AS later ON later.account_id = total.account_id AND later.currency = total.currency
WHERE total.account_id = ANY (%(accounts)s) AND total.instrument_id IS NULL AND total.rows > coalesce(later.rows, 0)
"""


def quantities(accounts: Iterable[Account | int], *, on: date | None = None, basis: Basis = Basis.TRADED) -> Units:
    """Units per account and instrument at the end of `on`; None takes every row. What comes to nothing is left out."""
    return {(account, instrument): units for account, instrument, units in _read(UNITS, accounts, on, basis)}


def cash(accounts: Iterable[Account | int], *, on: date | None = None, basis: Basis = Basis.TRADED) -> Cash:
    """Net amounts per account and currency up to the end of `on`; None takes every row.

    A currency without rows has no entry: the books know nothing of it, which is not the same as nothing.
    """
    return {(account, currency): amount for account, currency, amount in _read(CASH, accounts, on, basis)}


def _read(statement: str, accounts: Iterable[Account | int], on: date | None, basis: Basis) -> list[Any]:
    wanted = [account.pk if isinstance(account, Account) else account for account in accounts]
    later = "false" if on is None else LATER[basis]
    with connection.cursor() as cursor:
        cursor.execute(statement.format(later=later), {"accounts": wanted, "on": on})
        return list(cursor.fetchall())
