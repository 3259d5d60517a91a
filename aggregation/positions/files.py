"""The table of positions as rows of a file: one for each account and instrument, and for each account's cash."""

from collections.abc import Iterator

from aggregation.exports import Row
from aggregation.positions.entries import CLASSES, Entry, times
from aggregation.positions.entries import Row as Line
from aggregation.positions.table import Table
from aggregation.serializers import plain
from aggregation.valuation import fraction

COLUMNS = (
    "group",
    "instrument_id",
    "symbol",
    "name",
    "asset_class",
    "underlying",
    "isin",
    "cusip",
    "account",
    "broker",
    "quantity",
    "average_cost",
    "cost",
    "price",
    "price_source",
    "market_value",
    "unrealised_gain",
    "day_change",
    "currency",
    "rate",
    "rate_source",
    "rate_on",
    "converted_value",
    "converted_currency",
    "weight",
    "as_of",
)


def rows(table: Table) -> Iterator[Row]:
    """In the order of the table. `average_cost` is per unit, `cost` the whole; what is not known is empty."""
    for section in table.sections:
        for line in section.rows:
            for entry in line.parts:
                yield _row(section.label, line, entry, table)


def _row(group: str, line: Line, entry: Entry, table: Table) -> Row:
    """The instrument is the one all brokers' names stand for: a row of a merged one is called as the table calls it."""
    found, quote = line.instrument, entry.quote
    worth = times(entry.value, entry.rate)
    return {
        "group": group,
        "instrument_id": found.pk if found else None,
        "symbol": found.symbol if found else entry.currency,
        "name": found.name if found else line.title,
        "asset_class": CLASSES[entry.asset_class],
        "underlying": found.underlying if found else "",
        "isin": found.isin if found else "",
        "cusip": found.cusip if found else "",
        "account": str(entry.account),
        "broker": entry.broker,
        "quantity": plain(entry.quantity),
        "average_cost": plain(entry.average_cost),
        "cost": plain(entry.cost) if found else None,
        "price": plain(entry.price),
        "price_source": entry.broker if entry.price is not None else None,
        "market_value": plain(entry.value),
        "unrealised_gain": plain(entry.gain) if found else None,
        "day_change": plain(entry.day_change) if found else None,
        "currency": entry.currency,
        "rate": plain(entry.rate),
        "rate_source": getattr(quote, "source_label", None) or None,
        "rate_on": quote.on.isoformat() if entry.rate is not None else None,
        "converted_value": plain(worth),
        "converted_currency": table.currency,
        "weight": plain(fraction(worth, table.whole.whole)),
        "as_of": entry.as_of.isoformat(),
    }
