"""A format that is one table: columns by name, words by a table of rules. Most formats are these facts and little more.

The rows of such a file have, in the words of `Columns`, a date, a word for what happened, a security, units, a price, a
net amount. What a format says differently it says by overriding one of the small methods of TabularFormat.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import ClassVar
from zoneinfo import ZoneInfo

from connections.brokers.records import Broker, InstrumentRecord, TransactionRecord
from sync.importers import dates, instruments, numbers
from sync.importers.base import AS_PRINTED, Ambiguity, Choices, FileNotRead, Match, ParsedFile, Record
from sync.importers.base import find_header as find
from sync.importers.questions import ask_currency, ask_decimal, ask_order
from sync.importers.reader import DELIMITERS, Source, Table
from sync.importers.reading import Reading
from sync.importers.rows import ZERO, Columns, Layout, Names, Row
from sync.importers.rules import UNKNOWN, K, Rule, Sign

__all__ = ["ZERO", "Columns", "Layout", "Names", "Reading", "Row", "TabularFormat"]

# Said once here: Python takes longer to find a member of an enum than to read a cell.
IN, OUT, MONEY_ONLY = Sign.IN, Sign.OUT, Sign.NONE
TRADES = (K.BUY, K.SELL)


@lru_cache(maxsize=256)
def checked_currency(text: str) -> str:
    """Its code in capitals. Raises ValueError for what is none."""
    code = text.upper()
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        raise ValueError(f"“{code[:20]}” is no currency" if code else "The row has no currency")
    return code


class TabularFormat:
    """The facts of a format. One instance serves all files: what belongs to one file is in `Reading`."""

    key: ClassVar[str]
    label: ClassVar[str]
    broker: ClassVar[Broker] = Broker.OTHER
    institution: ClassVar[str]
    signature: ClassVar[frozenset[str]]  # columns that only this export has together, in small letters
    columns: ClassVar[Columns]
    rules: ClassVar[Mapping[str, Rule]]  # by_word({...})
    by_prefix: ClassVar[bool] = False  # the word is prose that begins with one of `rules`; the longest counts
    delimiter: ClassVar[str] = ","
    decimal: ClassVar[str] = numbers.POINT  # "" = told by the numbers of the file
    date_order: ClassVar[str] = dates.MONTH_FIRST  # "" = told by the dates of the file
    zone: ClassVar[ZoneInfo | None] = None  # whose clock it prints; None when that is not known
    currency: ClassVar[str] = ""  # of rows without one; "" when the file always says it
    currencies: ClassVar[tuple[str, ...]] = ()  # of accounts whose file never names theirs: the person is asked
    ahead: ClassVar[bool] = False  # True: rows dated in the future are plans that are kept, each with a warning
    signed: ClassVar[bool] = True  # False: amounts are printed without a sign, which then comes from the kind
    footers: ClassVar[tuple[str, ...]] = ()  # how the rest of the file begins, in small letters

    # --- What a format may say differently ---
    def header_row(self, source: Source, delimiter: str) -> int | None:
        """Where the header stands, from 0; None when the file has none of this format."""
        return find(source.head(delimiter), self.signature)

    def file_account(self, source: Source) -> str:
        """The account the file as a whole is of, as its title says; "" when it does not."""
        return ""

    def recognised(self, source: Source, header_row: int, delimiter: str) -> Match | None:
        return Match(score=90, reason=f"The file has all columns of {self.institution}'s export.")

    def ends(self, row: Row) -> str:
        """Why this row and all behind it tell no transactions; "" to go on."""
        return "footer" if self.footers and row.first.startswith(self.footers) else ""

    def skip(self, row: Row, reading: Reading) -> str:
        """Why this row tells no transaction; "" to read it. Raises ValueError."""
        return ""

    def word(self, row: Row) -> str:
        return row.text("word")

    def rule(self, row: Row, word: str) -> Rule | None:
        """None for a word that is not known."""
        folded = word.casefold()
        if not self.by_prefix:
            return self.rules.get(folded)
        return next((rule for prefix, rule in self.rules.items() if folded.startswith(prefix)), None)

    def dates(self, row: Row) -> tuple[date, date | None]:
        """The ledger's date and the one of settlement. Raises ValueError."""
        on, settled_on = row.date("date"), row.date("settled")
        if on is None:
            raise ValueError("The row has no date")
        return on, settled_on

    def occurred_at(self, row: Row) -> datetime | None:
        """Raises ValueError."""
        return row.moment("date") if ":" in row.text("date") else None

    def row_currency(self, row: Row) -> str:
        """Raises ValueError."""
        return checked_currency(row.text("currency") or row.layout.currency)

    def quantity(self, row: Row, rule: Rule, word: str) -> Decimal | None:
        """Signed. Raises ValueError, also when a trade has none."""
        sign = rule.sign
        printed = None if sign is MONEY_ONLY else row.quantity()
        if sign is IN or sign is OUT:
            if not printed:
                raise ValueError(f"A row “{word}” needs a quantity")
            return abs(printed) if sign is IN else -abs(printed)
        return printed or None  # some print 0 where a row has no units

    def amount(self, row: Row, rule: Rule) -> Decimal | None:
        """The signed net amount; None when the file does not say it. Raises ValueError."""
        printed = row.number("amount")
        if self.signed or printed is None:
            return printed
        return -abs(printed) if rule.takes_money else printed

    def charges(self, row: Row, currency: str) -> tuple[Decimal, Decimal]:
        """Fees and taxes within the amount, positive when paid. Raises ValueError."""
        return row.total("fees"), row.total("taxes")

    def price(self, row: Row) -> Decimal | None:
        """Raises ValueError."""
        return row.number("price")

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        """Raises ValueError."""
        return instruments.security(
            row.text("symbol"),
            name=row.text("name"),
            cusip=row.text("cusip"),
            isin=row.text("isin"),
            currency=currency,
        )

    def description(self, row: Row) -> str:
        return row.text("name")

    def external_id(self, row: Row, rule: Rule, word: str) -> str:
        return row.text("id")

    def group(self, row: Row, rule: Rule, on: date, reading: Reading) -> str:
        """The two rows of one event stand next to each other: they are numbered in twos within their day."""
        if not rule.paired:
            return ""
        event = f"{on:%Y%m%d} {rule.subtype}"
        reading.pairs[event] = reading.pairs.get(event, -1) + 1
        return f"{event} {reading.pairs[event] // 2 + 1}"

    def notes(self, row: Row, record: TransactionRecord) -> tuple[str, ...]:
        """What makes a row worth a look, though it is booked."""
        if record.quantity and record.kind in TRADES and record.quantity * record.net_amount > 0:
            return ("Units and money go the same way. Is the sign of the amount right?",)
        return ()

    def summand(self, record: TransactionRecord) -> Decimal:
        """What the record adds to the sum that the file prints of itself."""
        return record.net_amount

    def finish(self, reading: Reading) -> None:
        """Once all rows are read: checks against footers, warnings about the whole."""

    def records(self, row: Row, rule: Rule, word: str, reading: Reading) -> tuple[Record, ...]:
        """The records of a row. Raises ValueError."""
        return (self.record(row, rule, word, reading),)

    def record(self, row: Row, rule: Rule, word: str, reading: Reading) -> TransactionRecord:
        """Raises ValueError for a cell that cannot be read or is missing."""
        traded_on, settled_on = self.dates(row)
        if not self.ahead:
            reading.check_past(traded_on, row.text("date"))
        currency = self.row_currency(row)
        amount = self.amount(row, rule) if rule.cash else ZERO
        fees, taxes = self.charges(row, currency) if rule.cash else (ZERO, ZERO)
        quantity = self.quantity(row, rule, word)
        if amount is None and rule.needs_amount:
            raise ValueError(f"A row “{word}” needs an amount")
        net = amount or ZERO
        direction = quantity or net  # units that are moved say where to; money does where none are
        price = None if quantity is None else self.price(row)
        return TransactionRecord(
            external_id=self.external_id(row, rule, word),
            kind=rule.outgoing if rule.outgoing is not None and direction < 0 else rule.kind,
            subtype=rule.subtype if rule is not UNKNOWN else word[:40],
            traded_on=traded_on,
            settled_on=settled_on,
            occurred_at=self.occurred_at(row),
            instrument=self.instrument(row, rule, currency),
            quantity=quantity,
            price=None if price is None else abs(price),
            gross_amount=None if amount is None else net + fees + taxes,
            fees=fees,
            taxes=taxes,
            net_amount=net,
            currency=currency,
            description=self.description(row),
            group_id=self.group(row, rule, settled_on or traded_on, reading),
            raw=row.raw,
        )

    # --- The way through a file ---
    def places(self, header: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """For each field of Columns the columns of the file that hold it, case-folded."""
        names = {name.casefold() for name in header}
        found = {}
        for place in Columns.__dataclass_fields__:
            said: Names = getattr(self.columns, place)
            found[place] = tuple(one for one in ((said,) if isinstance(said, str) else said) if one in names)
        return found

    def usual_currency(self, table: Table, places: Mapping[str, tuple[str, ...]]) -> str:
        """Of rows that name none; "" when the file does not tell."""
        return self.currency

    def detect(self, source: Source) -> Match | None:
        place = None if source.is_markup else self._place(source, AS_PRINTED)
        return None if place is None else self.recognised(source, *place)

    def parse(self, source: Source, choices: Choices = AS_PRINTED) -> ParsedFile:
        reading = self.open(source, choices)
        rows = tuple(reading)
        return ParsedFile(
            rows=rows,
            skipped=tuple(reading.skipped),
            warnings=tuple(reading.warnings),
            questions=reading.questions,
        )

    def open(self, source: Source, choices: Choices = AS_PRINTED) -> Reading:
        place = self._place(source, choices)
        if place is None:
            raise FileNotRead(f"The file is not “{self.label}”: it lacks columns of that export.")
        table = source.table(*place)
        layout, questions = self._layout(table, choices)
        return Reading(self, table, layout, questions, self.file_account(source), choices.words)

    def _place(self, source: Source, choices: Choices) -> tuple[int, str] | None:
        """The header's row and the delimiter, the format's own first: a spreadsheet may have saved it with another."""
        wanted = (choices.delimiter,) if choices.delimiter else dict.fromkeys((self.delimiter, *DELIMITERS))
        for delimiter in wanted:
            header_row = self.header_row(source, delimiter)
            if header_row is not None:
                return header_row, delimiter
        return None

    def _layout(self, table: Table, choices: Choices) -> tuple[Layout, tuple[Ambiguity, ...]]:
        places = self.places(table.header)
        questions = []
        order: str | None = choices.date_order or self.date_order
        if not order:
            order, examples = dates.order_of(cell for name in places["date"] for cell in table.column(name))
            if order is None:
                questions.append(ask_order(examples))
        decimal: str | None = choices.decimal or self.decimal
        if not decimal:
            names = [name for kind in ("amount", "price", "quantity") for name in places[kind]]
            decimal, examples = numbers.decimal_of(cell for name in names for cell in table.column(name))
            if decimal is None:
                questions.append(ask_decimal(examples))
        currency = choices.currency.upper() or self.usual_currency(table, places)
        if not currency and self.currencies:
            currency = self.currencies[0]
            amounts = [cell for name in places["amount"] for cell in table.column(name)]
            questions.append(ask_currency(self.currencies, amounts))
        layout = Layout(places, decimal or numbers.POINT, order or dates.MONTH_FIRST, self.zone, currency)
        return layout, tuple(questions)
