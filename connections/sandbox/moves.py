"""Shares that moved between brokers of the sandbox: what leaves one book on a day enters another on the same day."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Move:
    """Shares in kind, by ACATS, of one person."""

    login: str
    on: date
    source: str  # broker
    target: str
    symbol: str
    quantity: int


MOVES = (
    Move("maria", date(2024, 10, 7), "ibkr", "robinhood", "KO", 40),
    Move("maria", date(2024, 10, 7), "ibkr", "robinhood", "AAPL", 12),
)
