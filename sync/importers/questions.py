"""What a person is asked where a file leaves two readings, with examples of its own."""

from collections.abc import Sequence

from sync.importers import dates, numbers
from sync.importers.base import Ambiguity


def ask_order(examples: tuple[str, ...]) -> Ambiguity:
    options = []
    for order in (dates.DAY_FIRST, dates.MONTH_FIRST):
        on = dates.parse_date(examples[0], order) if _reads(examples[0], order) else None
        options.append((order, f"{on:%d %B %Y}" if on else f"like {dates.EXAMPLES[order]}"))
    return Ambiguity(
        about="date_order",
        question="Does the day or the month come first in this file's dates?",
        options=tuple(options),
        examples=examples,
    )


def _reads(text: str, order: str) -> bool:
    try:
        dates.parse_date(text, order)
    except ValueError:
        return False
    return True


def ask_decimal(examples: tuple[str, ...]) -> Ambiguity:
    marks = (numbers.POINT, numbers.COMMA)
    options = tuple((mark, f"{examples[0]} is {_unmistakable(examples[0], mark)}") for mark in marks)
    return Ambiguity(
        about="decimal",
        question="Does a point or a comma stand before the decimals in this file?",
        options=options,
        examples=examples,
    )


def _unmistakable(text: str, decimal: str) -> str:
    """The number as it would be read, thousands apart by a narrow space and without zeros at the end."""
    read = f"{numbers.parse_number(text, decimal):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return read.rstrip("0").rstrip(".") if "." in read else read


def ask_currency(codes: tuple[str, ...], amounts: Sequence[str]) -> Ambiguity:
    examples = tuple(cell for cell in amounts[:3] if cell)
    first = examples[0] if examples else "1.00"
    return Ambiguity(
        about="currency",
        question="In which currency is this account? The file does not say.",
        options=tuple((code, f"{first} {code}") for code in codes),
        examples=examples,
    )
