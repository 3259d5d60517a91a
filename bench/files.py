"""Files in the form of Schwab's export, as large as one likes. A twentieth of the rows occur twice, as real ones do."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from sync.importers import reader

HEADER = '"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
SYMBOLS = 500
TWINS = 20  # of so many rows the last one is its neighbour once more
_DAYS = [f"{date(2016, 1, 4) + timedelta(days=day):%m/%d/%Y}" for day in range(3650)]


def content(rows: int, first: int = 0) -> bytes:
    """A file of the rows `first` and following of an endless history: files that overlap have rows in common."""
    return (HEADER + "".join(_lines(rows, first))).encode()


def _lines(rows: int, first: int) -> Iterator[str]:
    for number in range(first, first + rows):
        yield _line(number - 1 if number % TWINS == TWINS - 1 else number)


def _line(number: int) -> str:
    day, symbol = _DAYS[number % len(_DAYS)], number % SYMBOLS
    name = f'"S{symbol:03}","EXAMPLE COMPANY {symbol} CORP"'
    units, price = 1 + number % 97, 100_000 + number * 37 % 900_007  # ten thousandths of a dollar
    cents = units * price // 100
    if number % 10 == 7:
        return f'"{day}","Qualified Dividend",{name},"","","","${cents // 100}.{cents % 100:02}"\n'
    word, sign = ("Sell", "") if number % 10 in (2, 5, 8) else ("Buy", "-")
    figures = f'"{units}","${price // 10_000}.{price % 10_000:04}","$0.04","{sign}${cents // 100:,}.{cents % 100:02}"'
    return f'"{day}","{word}",{name},{figures}\n'


def lift_limits(settings: Any) -> None:
    """A million rows are more than the hub takes from the web."""
    settings.UPLOAD_MAX_BYTES, reader.MAX_ROWS = 2**30, 10**7
