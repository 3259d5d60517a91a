"""Lots, gains and income as rows of a file. Amounts are plain numbers as text; unknown is empty, or null in JSON."""

from collections.abc import Iterator

from aggregation.exports import Row
from aggregation.lots.gains import GainsReport
from aggregation.lots.income import IncomeReport
from aggregation.lots.service import Lots
from aggregation.rates.exchange import Converted
from aggregation.serializers import plain

GAIN_COLUMNS = (
    "account",
    "broker",
    "symbol",
    "name",
    "quantity",
    "opened_on",
    "closed_on",
    "term",
    "proceeds",
    "cost_basis",
    "gain",
    "currency",
    "unknown_because",
    "sale_id",
    "lot_id",
)
LOT_COLUMNS = (
    "account",
    "broker",
    "symbol",
    "name",
    "quantity",
    "opened_on",
    "cost_basis",
    "cost_per_unit",
    "currency",
    "unknown_because",
    "lot_id",
)
INCOME_COLUMNS = (
    "paid_on",
    "account",
    "broker",
    "symbol",
    "what",
    "amount",
    "currency",
    "converted",
    "converted_currency",
    "rate",
    "rate_on",
    "transaction_id",
)


def gains(report: GainsReport) -> Iterator[Row]:
    for gain in report.closed:
        closed = gain.closed
        yield {
            "account": str(gain.account),
            "broker": gain.account.connection.broker,
            "symbol": gain.instrument.symbol,
            "name": gain.instrument.name,
            "quantity": plain(closed.quantity),
            "opened_on": closed.opened_on and closed.opened_on.isoformat(),
            "closed_on": closed.closed_on.isoformat(),
            "term": closed.term.value,
            "proceeds": plain(closed.proceeds),
            "cost_basis": plain(closed.basis),
            "gain": plain(closed.gain),
            "currency": closed.currency,
            "unknown_because": gain.why.label,
            "sale_id": closed.key,
            "lot_id": closed.lot or None,
        }


def open_lots(lots: Lots) -> Iterator[Row]:
    for each in lots.open:
        yield {
            "account": str(each.account),
            "broker": each.account.connection.broker,
            "symbol": each.instrument.symbol,
            "name": each.instrument.name,
            "quantity": plain(each.lot.quantity),
            "opened_on": each.lot.opened_on and each.lot.opened_on.isoformat(),
            "cost_basis": plain(each.lot.cost),
            "cost_per_unit": plain(each.per_unit),
            "currency": each.lot.currency,
            "unknown_because": each.why.label,
            "lot_id": each.lot.key or None,
        }


def income(report: IncomeReport) -> Iterator[Row]:
    into = report.asked.currency
    for paid in report.payments:
        told = report.exchange.convert(paid.amount, paid.currency, into, on=paid.on)
        known = told if isinstance(told, Converted) else None
        account = report.accounts[paid.account]
        yield {
            "paid_on": paid.on.isoformat(),
            "account": str(account),
            "broker": account.connection.broker,
            "symbol": report.instruments[paid.instrument].symbol if paid.instrument else "",
            "what": paid.what,
            "amount": plain(paid.amount),
            "currency": paid.currency,
            "converted": plain(round(known.amount, 10)) if known else None,
            "converted_currency": into,
            "rate": plain(round(known.rate, 10)) if known else None,
            "rate_on": known.rate_on.isoformat() if known else None,
            "transaction_id": paid.key,
        }
