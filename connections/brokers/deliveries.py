"""What each way to connect tells the hub and what it does not: said to people before they choose."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db.models import TextChoices

from connections.brokers.records import AuthMethod


class Topic(TextChoices):
    POSITIONS = "positions", "Positions"
    BALANCES = "balances", "Balances"
    TRADES = "trades", "Trades"
    DIVIDENDS = "dividends", "Dividends and interest"
    TRANSFERS = "transfers", "Deposits and transfers"
    EVENTS = "events", "Splits, option events"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One topic: whether this way tells it, and in a few words how far."""

    topic: Topic
    is_told: bool
    words: str


YES = "Yes"
NOT_TOLD = "Not this way"
BY_FLEX = "By Flex query"
EVENING = "Evening before"

_COINS = {Topic.POSITIONS: "Coins only", Topic.BALANCES: NOT_TOLD, Topic.TRADES: "Coins only"}
_NO_HISTORY = {Topic.DIVIDENDS: NOT_TOLD, Topic.TRANSFERS: NOT_TOLD, Topic.EVENTS: NOT_TOLD}
_WITH_FLEX = {
    Topic.TRADES: BY_FLEX,
    Topic.DIVIDENDS: BY_FLEX,
    Topic.TRANSFERS: BY_FLEX,
    Topic.EVENTS: BY_FLEX,
}
# A topic that is not named here is told in full.
_LESS: Mapping[AuthMethod, Mapping[Topic, str]] = {
    AuthMethod.SCHWAB_OAUTH: {Topic.TRADES: "About six years"},
    AuthMethod.IBKR_FLEX: {Topic.POSITIONS: EVENING, Topic.BALANCES: EVENING, Topic.TRADES: "About five years"},
    AuthMethod.IBKR_OAUTH: _WITH_FLEX,
    AuthMethod.IBKR_KEYS: _WITH_FLEX,
    AuthMethod.ROBINHOOD_OAUTH: _NO_HISTORY,
    AuthMethod.ROBINHOOD_CRYPTO: _COINS | _NO_HISTORY,
    AuthMethod.ROBINHOOD_LOGIN: {},
    AuthMethod.ALPACA_OAUTH: {},
}


def deliveries(method: AuthMethod) -> Iterator[Delivery]:
    """Every topic in the same order, so that ways can be compared. Raises KeyError for a way nobody has described."""
    less = _LESS[method]
    for topic in Topic:
        words = less.get(topic, YES)
        yield Delivery(topic, words != NOT_TOLD, words)
