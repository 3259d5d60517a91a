"""Coinbase's transaction history as CSV (Statements, Transactions, Generate).

Seen in an export of 2025: two rows of preamble, `£` or `€` before numbers, `-£` when negative. What crypto was worth on
the day stands in the money columns of every row, but money moves only where something is bought or sold or where the
asset is itself a currency. Coinbase Pro was another wallet: a "Pro Deposit" leaves this one. An id may come again in
another kind of row.
"""

import re
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind, TransactionRecord
from sync.importers import instruments
from sync.importers.base import Record
from sync.importers.dates import YEAR_FIRST
from sync.importers.numbers import parse_number
from sync.importers.rules import BUY, SELL, Rule, Sign, bank, by_word
from sync.importers.tabular import ZERO, Columns, Reading, Row, TabularFormat

K = TransactionKind
MONEY = frozenset({"USD", "EUR", "GBP", "CHF", "CAD", "AUD", "SGD", "JPY", "PLN", "SEK", "NOK", "DKK", "BRL", "TRY"})
_IN = Rule(K.TRANSFER_IN, Sign.PRINTED, cash=False, outgoing=K.TRANSFER_OUT)
_INCOME = Rule(K.INTEREST, Sign.IN, "reward", cash=False)
_STAKING = Rule(K.INTEREST, Sign.IN, "staking", cash=False)
_STAKED = Rule(K.OTHER, Sign.PRINTED, "staking", cash=False)
TYPES: dict[str, Rule] = {
    "Buy": BUY,
    "Sell": SELL,
    "Advanced Trade Buy": BUY,
    "Advanced Trade Sell": SELL,
    "Advance Trade Buy": BUY,
    "Advance Trade Sell": SELL,
    "Deposit": _IN,
    "Withdrawal": _IN,
    "Receive": _IN,
    "Send": _IN,
    "Pro Deposit": _IN,
    "Pro Withdrawal": _IN,
    "Exchange Deposit": _IN,
    "Exchange Withdrawal": _IN,
    "Staking Income": _STAKING,
    "Inflation Reward": _STAKING,
    "Rewards Income": _INCOME,
    "Reward Income": _INCOME,
    "Learning Reward": _INCOME,
    "Coinbase Earn": _INCOME,
    "Convert": Rule(K.OTHER, Sign.PRINTED, "convert", cash=False),
    "Retail Staking Transfer": _STAKED,  # two rows that cancel each other
    "Retail Unstaking Transfer": _STAKED,
    "Retail Eth2 Deprecation": _STAKED,
}
OF_MONEY = {  # the same words where the asset is a currency
    "deposit": bank(),
    "withdrawal": bank(),
    "receive": bank(),
    "send": bank(),
    **dict.fromkeys(
        ("pro deposit", "pro withdrawal", "exchange deposit", "exchange withdrawal"),
        Rule(K.TRANSFER_IN, outgoing=K.TRANSFER_OUT),
    ),
}
_CONVERTED = re.compile(r"Converted [\d.,]+ \S+ to ([\d.,]+) (\S+)")
_FOR = re.compile(r"(?:Sold|Bought) [\d.,]+ \S+ for [\d.,]+ (\S+)")


class Coinbase(TabularFormat):
    key = "coinbase"
    label = "Coinbase, transaction history"
    institution = "Coinbase"
    signature = frozenset({"timestamp", "transaction type", "asset", "quantity transacted", "subtotal", "notes"})
    columns = Columns(
        date="timestamp",
        word="transaction type",
        symbol="asset",
        name="notes",
        quantity="quantity transacted",
        price=("price at transaction", "spot price at transaction"),
        amount=("total (inclusive of fees and/or spread)", "total"),
        fees=("fees and/or spread", "fees"),
        currency=("price currency", "spot price currency"),
        id="id",
    )
    rules: ClassVar = by_word(TYPES)
    date_order = YEAR_FIRST
    signed = False

    def rule(self, row: Row, word: str) -> Rule | None:
        of_money = OF_MONEY.get(word.casefold()) if _is_money(row) else None
        return of_money or super().rule(row, word)

    def row_currency(self, row: Row) -> str:
        return row.text("symbol").upper() if _is_money(row) else super().row_currency(row)

    def amount(self, row: Row, rule: Rule) -> Decimal | None:
        """Of a currency it is the quantity, which tells where it goes; a sale's total is printed with either sign."""
        if not _is_money(row):
            printed = super().amount(row, rule)
            return abs(printed) if rule is SELL and printed is not None else printed
        units = row.quantity()
        return -abs(units) if units is not None and row.text("word").casefold() == "withdrawal" else units

    def charges(self, row: Row, currency: str) -> tuple[Decimal, Decimal]:
        return (ZERO, ZERO) if _is_money(row) else super().charges(row, currency)

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        return None if _is_money(row) else _coin(row.text("symbol"), currency)

    def external_id(self, row: Row, rule: Rule, word: str) -> str:
        side = "-" if row.text("quantity").startswith("-") else "+"
        return f"{row.text('id')} {word} {side}{row.text('symbol')}" if row.text("id") else ""

    def records(self, row: Row, rule: Rule, word: str, reading: Reading) -> tuple[Record, ...]:
        """A conversion names what it gave in the notes only; that is a leg of its own."""
        record = self.record(row, rule, word, reading)
        into = _CONVERTED.search(row.text("name")) if rule.subtype == "convert" else None
        if into is None:
            return (record,)
        group = row.text("id") or f"convert {row.text('date')}"
        other = replace(
            record,
            external_id=f"{record.external_id}:{into[2]}" if record.external_id else "",
            instrument=_coin(into[2], record.currency),
            quantity=parse_number(into[1]),
            price=None,
            group_id=group,
        )
        return (replace(record, group_id=group), other)

    def notes(self, row: Row, record: TransactionRecord) -> tuple[str, ...]:
        paid_in = _FOR.search(row.text("name"))
        if paid_in is None or paid_in[1].upper() == record.currency or not record.net_amount:
            return super().notes(row, record)
        return (f"It was paid in {paid_in[1]}; Coinbase gives its value in {record.currency}, which is booked.",)


def _is_money(row: Row) -> bool:
    return row.text("symbol").upper() in MONEY


def _coin(symbol: str, currency: str) -> InstrumentRecord | None:
    return instruments.security(symbol, currency=currency, asset_class=AssetClass.CRYPTO)
