"""Numbers as exports print them: `$1,234.56`, `-$0.88`, `$-0.88`, `(1,234.50)`, `1.234,56 €`, `-2.6E-4`, `140S`."""

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache

NO_VALUE = frozenset({"", "-", "--", "n/a", "na"})
POINT, COMMA, MIXED = ".", ",", "mixed"
DECIMALS = (POINT, COMMA, MIXED)  # MIXED: a file with both, where each cell has to say for itself
_NOISE = re.compile(r"[$€£¥\s\u00a0\u202f'’]")
_CODE = re.compile(r"^[A-Z]{3}[\s\u00a0](?=[\d+.,(-])|(?<=[\d)])[\s\u00a0][A-Z]{3}$")  # EUR 5 and 5 EUR
_NUMBER = re.compile(r"(?=[^eE]*\d)[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d{1,2})?", re.ASCII)
_PLAIN = re.compile(r"([+-]?)\$?(\d{1,3}(?:,\d{3}){1,4}|\d{1,17})(\.\d{1,18})?", re.ASCII)  # what most cells are
_MARKS = re.compile(r"[.,]")
_SWAP = str.maketrans(".,", ",.")
MAX_WHOLE_DIGITS, MAX_DECIMALS = 17, 18  # an amount's column has 18 whole digits; amount and fees are added


@lru_cache(maxsize=65536)  # columns of a file say the same again and again
def parse_number(text: str, decimal: str = POINT) -> Decimal | None:
    """The exact number in `text`; None when the cell says "no value". Raises ValueError, a phrase for people."""
    if not text:
        return None
    if decimal == POINT and (plain := _PLAIN.fullmatch(text)):
        sign, whole, decimals = plain.groups("")
        return Decimal(sign + whole.replace(",", "") + decimals)
    bare = _NOISE.sub("", _CODE.sub("", text.strip())).replace("\N{MINUS SIGN}", "-")
    if bare.casefold() in NO_VALUE:
        return None
    negative = bare.startswith("(") and bare.endswith(")")
    if negative:
        bare = bare[1:-1]
    mark = style_of(bare) if decimal == MIXED else decimal
    if mark is None:
        raise ValueError(f"“{text[:40]}” may have thousands or decimals")
    if mark == COMMA:
        bare = bare.translate(_SWAP)
    if not _NUMBER.fullmatch(bare):
        raise ValueError(f"“{text[:40]}” is not a number")
    number = Decimal(bare.replace(",", ""))
    exponent = number.as_tuple().exponent
    if number.adjusted() >= MAX_WHOLE_DIGITS or not isinstance(exponent, int) or -exponent > MAX_DECIMALS:
        raise ValueError(f"“{text[:40]}” has too many digits")
    return -number if negative else number


def parse_quantity(text: str, decimal: str = POINT) -> Decimal | None:
    """As `parse_number`; `140S` says that 140 are taken from the position. Raises ValueError."""
    bare = text.strip()
    if bare[-1:] in ("S", "s") and bare[-2:-1].isdigit():
        number = parse_number(bare[:-1], decimal)
        return None if number is None else -abs(number)
    return parse_number(bare, decimal)


def style_of(text: str) -> str | None:
    """POINT or COMMA, whichever stands before the decimals; POINT without any; None when `1.234` leaves both."""
    marks = _MARKS.findall(text)
    if not marks:
        return POINT
    if len(set(marks)) == 2:
        return str(marks[-1])
    other = COMMA if marks[0] == POINT else POINT
    if len(marks) > 1:
        return other  # 1.234.567
    whole, _, behind = text.partition(marks[0])
    digits = len(re.match(r"\d*", behind)[0])  # type: ignore[index]  # it matches the empty text too
    leading = whole.lstrip("+-($€£")
    return None if digits == 3 and leading[:1] not in ("", "0") and len(leading) <= 3 else str(marks[0])


def decimal_of(cells: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
    """Which mark stands before the decimals in a file, told by its numbers; None, with the first of them, when none
    can tell."""
    told: set[str] = set()
    unclear: dict[str, None] = {}
    for cell in set(cells):
        bare = _NOISE.sub("", cell)
        if not _MARKS.search(bare) or not any(character.isdigit() for character in bare):
            continue
        style = style_of(bare)
        if style is None:
            unclear[cell.strip()] = None
        else:
            told.add(style)
    if len(told) == 2:
        return MIXED, ()
    if told:
        return told.pop(), ()
    return (None, tuple(sorted(unclear)[:3])) if unclear else (POINT, ())
