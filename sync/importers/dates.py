"""Dates as exports print them."""

import re
from datetime import UTC, date, datetime
from functools import lru_cache

_AS_OF = re.compile(r"\s+as of\s+", re.I)


def parse_us_date(text: str) -> date:
    """`MM/DD/YYYY`, or with two digits of the year after a spreadsheet saved it. Raises ValueError, a phrase."""
    bare = text.strip()
    for form in ("%m/%d/%Y", "%m/%d/%y"):
        try:
            return datetime.strptime(bare, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise ValueError(f"“{bare[:40]}” is not a date like 12/31/2025")


@lru_cache(maxsize=8192)  # a file has many rows a day
def parse_as_of(text: str) -> tuple[date, date]:
    """Posting and effective date of `MM/DD/YYYY as of MM/DD/YYYY`; without "as of" the same. Raises ValueError."""
    posted, *effective = _AS_OF.split(text.strip(), maxsplit=1)
    first = parse_us_date(posted)
    return first, parse_us_date(effective[0]) if effective else first
