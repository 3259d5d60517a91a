"""Charles Schwab's other two exports: the checking account of Schwab Bank, and the Equity Award Center's history.

An award's event is two rows: the second has no date and carries the award. Of a vest ("Lapse") only the shares that
were delivered reach the brokerage account; its own export tells of them as well, in the same words for the books.
"""

from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import Broker, TransactionKind, TransactionRecord
from sync.importers.numbers import parse_number, parse_quantity
from sync.importers.rules import DIVIDEND, INTEREST, SELL, Rule, Sign, bank, by_word, transfer
from sync.importers.tabular import Columns, Reading, Row, TabularFormat

K = TransactionKind


class SchwabChecking(TabularFormat):
    key = "schwab_checking"
    label = "Charles Schwab Bank, checking transactions"
    broker = Broker.SCHWAB
    institution = "Schwab"
    signature = frozenset({"date", "type", "description", "withdrawal (-)", "deposit (+)"})
    columns = Columns(date="date", word="type", name="description")
    currency = "USD"
    rules: ClassVar = by_word(
        {
            "ACH": bank("ACH"),
            "ATM": bank("ATM"),
            "CHECK": bank("check"),
            "DEPOSIT": bank(),
            "TRANSFER": bank("transfer"),
            "VISA": bank("card"),
            "WIRE": bank("wire"),
            "INTADJUST": INTEREST,
            "ATMREBATE": Rule(K.OTHER, subtype="ATM rebate"),
        }
    )

    def skip(self, row: Row, reading: Reading) -> str:
        return "a heading" if row.first.startswith(("pending transactions", "posted transactions")) else ""

    def amount(self, row: Row, rule: Rule) -> Decimal | None:
        taken, put = (parse_number(row.cell(name)) for name in ("withdrawal (-)", "deposit (+)"))
        if taken is None and put is None:
            return None
        return (put or Decimal(0)) - abs(taken or Decimal(0))


class SchwabEquityAwards(TabularFormat):
    key = "schwab_equity_awards"
    label = "Charles Schwab, equity awards"
    broker = Broker.SCHWAB
    institution = "Schwab"
    signature = frozenset(
        {"date", "action", "symbol", "awarddate", "fairmarketvalueprice", "sharessoldwithheldfortaxes"}
    )
    columns = Columns(
        date="date",
        word="action",
        symbol="symbol",
        name="description",
        quantity="quantity",
        price="saleprice",
        fees="feesandcommissions",
        amount="amount",
    )
    currency = "USD"
    rules: ClassVar = by_word(
        {
            "Lapse": Rule(K.TRANSFER_IN, Sign.IN, "stock plan", cash=False),
            "Deposit": Rule(K.TRANSFER_IN, Sign.IN, "stock plan", cash=False),
            "Sale": SELL,
            "Dividend": DIVIDEND,
            "Interest": INTEREST,
            "Tax Withholding": Rule(K.TAX, subtype="withholding"),
            "Wire Transfer": bank("wire"),
            "Forced Disbursement": bank(),
            "Journal": transfer("", Sign.PRINTED),
        }
    )

    def skip(self, row: Row, reading: Reading) -> str:
        """The second row of an event completes the record of the first."""
        if row.text("date") or not reading.rows:
            return ""
        first = reading.rows[-1]
        record = first.records[0]
        if isinstance(record, TransactionRecord):
            delivered = parse_quantity(row.cell("netsharesdeposited"))
            told = {name: cell for name, cell in row.raw.items() if cell.strip()}
            whole = replace(record, raw={**record.raw, **told})
            if delivered is not None and record.kind is K.TRANSFER_IN:
                whole = replace(whole, quantity=delivered)
            reading.rows[-1] = replace(first, records=(whole,))
        return f"goes on with line {first.line}"
