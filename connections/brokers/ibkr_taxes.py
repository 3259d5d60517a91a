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
    """Nothing for an amount of 0. Raises Odd for a row that leaves something out: nobody was asked for these sections.

    A tax whose trade stands in another statement is odd too: that one may have counted it.
    """
    amount, currency = row.maybe_number(TITLES[row.tag]), row.maybe("currency")
    when = row.maybe("date") or row.maybe("reportDate")
    if amount is None or not currency or not when:
        raise Odd("a tax that does not say when, how much or in which currency")
    trade = row.maybe("tradeId")
    if trade and trade not in trade_ids:
        raise Odd("a tax on a trade of another statement, which may have counted it")
    if not amount:
        return
    yield TransactionRecord(
        external_id=key,
        kind=TransactionKind.TAX,
        subtype="transaction" if row.tag == "TransactionTax" else "sales",
        traded_on=row.dates.day(when),
        occurred_at=row.dates.moment(when),
        instrument=known.by_contract.get(row.maybe("conid")),
        net_amount=amount,
        currency=currency,
        description=row.maybe("taxDescription") or row.maybe("taxableDescription") or row.maybe("description"),
        group_id=trade or row.maybe("taxableTransactionID"),
        raw=row.told,
    )
