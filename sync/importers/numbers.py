"""Numbers as exports print them: `$1,234.56`, `-$0.88`, `$-0.88`, `(1,234.50)`, `-2.6E-4`, `--`."""

import re
from decimal import Decimal

NO_VALUE = frozenset({"", "-", "--", "n/a", "na"})
_NOISE = re.compile(r"[$€£¥\s\u00a0\u202f]")
_NUMBER = re.compile(r"(?=[^eE]*\d)[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d{1,2})?", re.ASCII)
MAX_WHOLE_DIGITS, MAX_DECIMALS = 17, 18  # an amount's column has 18 whole digits; amount and fees are added


def parse_number(text: str) -> Decimal | None:
    """The exact number in `text`; None when the cell says "no value". Raises ValueError, a phrase for people."""
    bare = _NOISE.sub("", text)
    if bare.casefold() in NO_VALUE:
        return None
    negative = bare.startswith("(") and bare.endswith(")")
    if negative:
        bare = bare[1:-1]
    if not _NUMBER.fullmatch(bare):
        raise ValueError(f"“{text[:40]}” is not a number")
    number = Decimal(bare.replace(",", ""))
    exponent = number.as_tuple().exponent
    if number.adjusted() >= MAX_WHOLE_DIGITS or not isinstance(exponent, int) or -exponent > MAX_DECIMALS:
        raise ValueError(f"“{text[:40]}” has too many digits")
    return -number if negative else number
