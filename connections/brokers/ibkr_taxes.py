"""Taxes that a Flex statement tells in sections of their own, where its trades have not told them already. Pure.

`TransactionTaxes` repeats what most trades carry in `taxes`, and `SalesTaxes` what may also be charged as a fee: each
row is booked only when nothing else in the statement counts it. Amounts are signed as cash: negative when paid.
"""

from collections.abc import Iterable, Iterator

from connections.brokers.ibkr_instruments import Known
from connections.brokers.ibkr_statement import Odd, Row, Statement
from connections.brokers.records import TransactionKind, TransactionRecord

TITLES = {"TransactionTax": "taxAmount", "SalesTax": "salesTax"}  # by row; sections may hold finer rows beside them


def rows(statement: Statement, trades: Iterable[Row]) -> list[Row]:
    """Those that neither their trade nor a cash transaction has counted."""
    taxed = {row.maybe(name) for row in trades if _has_taxes(row) for name in ("tradeID", "transactionID")} - {""}
    charged = {row.maybe("transactionID") for row in statement.sections.get("CashTransactions", ())} - {""}
    found = [row for section in ("TransactionTaxes", "SalesTaxes") for row in statement.sections.get(section, ())]
    return [
        row
        for row in found
        if row.tag in TITLES
        and not row.is_summary
        and not {row.maybe("tradeId"), row.maybe("taxableTransactionID")} & taxed
        and row.maybe("transactionID") not in charged
    ]


def _has_taxes(row: Row) -> bool:
    return bool(row.maybe("taxes").strip("-0."))


def tax(row: Row, key: str, known: Known, trade_ids: set[str]) -> Iterator[TransactionRecord]:
    """Nothing for an amount of 0. Raises Odd where the trade stands in another statement: it may count the tax."""
    amount = row.number(TITLES[row.tag])
    if not amount:
        return
    trade = row.maybe("tradeId")
    if trade and trade not in trade_ids:
        raise Odd("a tax on a trade of another statement, which may have counted it")
    when = row.first("date", "reportDate")
    yield TransactionRecord(
        external_id=key,
        kind=TransactionKind.TAX,
        subtype="transaction" if row.tag == "TransactionTax" else "sales",
        traded_on=row.dates.day(when),
        occurred_at=row.dates.moment(when),
        instrument=known.mentioned(row),
        net_amount=amount,
        currency=row.text("currency"),
        description=row.maybe("taxDescription") or row.maybe("taxableDescription") or row.maybe("description"),
        group_id=trade or row.maybe("taxableTransactionID"),
        raw=row.told,
    )
