"""Option symbols in OSI form: root padded to six, yymmdd, C or P, strike in thousandths in eight digits."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

_OSI = re.compile(r"(?P<root>[A-Z0-9. ]{6})(?P<expires>\d{6})(?P<side>[CP])(?P<strike>\d{8})")


@dataclass(frozen=True, slots=True)
class Option:
    underlying: str
    expires_on: date
    is_call: bool
    strike: Decimal

    def __str__(self) -> str:
        """As people say it: AAPL 15 Jan 2027 240 Call."""
        strike = f"{self.strike.normalize():f}"
        return f"{self.underlying} {self.expires_on:%-d %b %Y} {strike} {'Call' if self.is_call else 'Put'}"


def parse(symbol: str) -> Option | None:
    """None when the symbol is not an option's, its date included. Source: OCC, Options Symbology Initiative."""
    match = _OSI.fullmatch(symbol)
    if match is None:
        return None
    try:
        expires = datetime.strptime(match["expires"], "%y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    strike = Decimal(match["strike"]) / 1000
    return Option(match["root"].strip(), expires, match["side"] == "C", strike)
