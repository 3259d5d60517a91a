"""What a person says about the columns of a file no format knows: data that can be saved and used for the next file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from brokerhub.kernel.errors import HubError
from connections.brokers.records import TransactionKind
from sync.importers.dates import ORDERS
from sync.importers.numbers import DECIMALS
from sync.importers.reader import DELIMITERS
from sync.importers.rules import BUY, DIVIDEND, FEE, INTEREST, REINVEST, SELL, SPLIT, TAX, Rule, Sign, skipped
from sync.importers.words import fold

K = TransactionKind
MOST = 200  # columns, and words, of one mapping
LONGEST = 200  # characters of a name

# Our fields as people see them; the keys are those of tabular.Columns, and one for what the row says of itself.
FIELDS: dict[str, str] = {
    "date": "Date",
    "word": "What happened",
    "symbol": "Symbol",
    "isin": "ISIN",
    "cusip": "CUSIP",
    "name": "Name of the security",
    "description": "Description or note",
    "quantity": "Quantity",
    "price": "Price of one unit",
    "amount": "Amount",
    "fees": "Fees",
    "taxes": "Taxes",
    "currency": "Currency",
    "settled": "Settlement date",
    "account": "Account",
    "id": "The broker's id of the row",
}

# What a word of the file may mean, as people see it, and the rule it then has.
MEANINGS: dict[str, tuple[str, Rule]] = {
    "buy": ("Buy", BUY),
    "sell": ("Sell", SELL),
    "reinvest": ("Dividend reinvested: the purchase", REINVEST),
    "dividend": ("Dividend", DIVIDEND),
    "interest": ("Interest", INTEREST),
    "fee": ("Fee", FEE),
    "tax": ("Tax", TAX),
    "deposit": ("Deposit", Rule(K.DEPOSIT)),
    "withdrawal": ("Withdrawal", Rule(K.WITHDRAWAL)),
    "payment": ("Deposit or withdrawal, by its sign", Rule(K.DEPOSIT, outgoing=K.WITHDRAWAL)),
    "transfer_in": ("Transfer in, of money or securities", Rule(K.TRANSFER_IN)),
    "transfer_out": ("Transfer out, of money or securities", Rule(K.TRANSFER_OUT)),
    "split": ("Split: the quantity is what was added", SPLIT),
    "split_ratio": ("Split: the quantity is the ratio", Rule(K.SPLIT, subtype="ratio", cash=False)),
    "exchange": ("Currency exchange", Rule(K.FX)),
    "given": ("Securities received or given, without money", Rule(K.OTHER, Sign.PRINTED, cash=False)),
    "other": ("Something else", Rule(K.OTHER, Sign.PRINTED)),
    "skip": ("Not a transaction: skip it", skipped("left out by your mapping")),
}


class MappingRefused(HubError):
    """The mapping cannot be used; the text says what to change."""

    code = "mapping_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """How one layout of file is to be read. Raises MappingRefused when made of what does not fit together."""

    columns: Mapping[str, tuple[str, ...]]  # field: the file's columns; of several the first filled cell counts
    words: Mapping[str, str] = field(default_factory=dict)  # the file's word: a key of MEANINGS
    date_order: str = ""  # one of dates.ORDERS; "" = told by the file, or asked
    decimal: str = ""  # one of numbers.DECIMALS; "" likewise
    delimiter: str = ""
    currency: str = ""  # of rows that name none
    signed: bool = True  # amounts have the sign of the money; False: it comes from what happened
    fees_on_top: bool = False  # the amount is without fees and taxes
    footers: tuple[str, ...] = ()  # how the first cell begins of the row that ends the table

    def __post_init__(self) -> None:
        if reason := next(self._objections(), ""):
            raise MappingRefused(reason)

    def _objections(self) -> Iterator[str]:
        fields = ", ".join(FIELDS)
        yield from (
            f"There is no field “{name[:40]}”. There are {fields}." for name in self.columns if name not in FIELDS
        )
        if not self.columns.get("date"):
            yield "Say which column is the date."
        if not (self.columns.get("amount") or self.columns.get("quantity")):
            yield "Say which column is the amount or the quantity."
        meanings = ", ".join(MEANINGS)
        unheard = (one for one in self.words.values() if one not in MEANINGS)
        yield from (f"A word cannot mean “{one[:40]}”, but one of {meanings}." for one in unheard)
        for said, allowed in ((self.date_order, ORDERS), (self.decimal, DECIMALS), (self.delimiter, DELIMITERS)):
            if said and said not in allowed:
                yield f"“{said[:10]}” is not a choice; leave it empty or take one of {', '.join(map(repr, allowed))}."
        if self.currency and not re.fullmatch(r"[A-Z]{3}", self.currency):
            yield f"“{self.currency[:10]}” is no currency like EUR."

    def rules(self) -> dict[str, Rule]:
        """What each word means, by the word without accents and capitals. Where none was said a key means itself."""
        said = self.words or {meaning: meaning for meaning in MEANINGS}
        return {fold(word): MEANINGS[meaning][1] for word, meaning in said.items()}

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON; `from_dict` reads it back."""
        return {
            "columns": {name: list(columns) for name, columns in self.columns.items()},
            "words": dict(self.words),
            "date_order": self.date_order,
            "decimal": self.decimal,
            "delimiter": self.delimiter,
            "currency": self.currency,
            "signed": self.signed,
            "fees_on_top": self.fees_on_top,
            "footers": list(self.footers),
        }

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """From saved or sent data, of which nothing is believed. A column may be a text or a list of texts.

        Raises MappingRefused.
        """
        if not isinstance(data, dict) or not data.keys() <= set(cls.__dataclass_fields__):
            raise MappingRefused(f"A mapping has these parts: {', '.join(cls.__dataclass_fields__)}.")
        given = dict(data)
        columns, words = given.pop("columns", None), given.pop("words", {})
        signed, on_top = given.pop("signed", True), given.pop("fees_on_top", False)
        footers = given.pop("footers", [])
        if not (isinstance(columns, dict) and isinstance(words, dict) and len(columns) + len(words) <= MOST):
            raise MappingRefused("“columns” and “words” are each a list of names with what they stand for.")
        if not (isinstance(signed, bool) and isinstance(on_top, bool)):
            raise MappingRefused("“signed” and “fees_on_top” are true or false.")
        return cls(
            columns={_text(name): _texts(value) for name, value in columns.items()},
            words={_text(word): _text(meaning) for word, meaning in words.items()},
            signed=signed,
            fees_on_top=on_top,
            footers=_texts(footers),
            **{name: _text(value) for name, value in given.items()},
        )


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (_text(value),) if value else ()
    if not isinstance(value, list) or len(value) > MOST:
        raise MappingRefused("A column is the name of one, or a list of names.")
    return tuple(_text(one) for one in value)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise MappingRefused(f"A mapping is made of texts of up to {LONGEST} characters.")
    return value
