"""What each way to connect tells the hub and what it does not: said to people before they choose."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db.models import TextChoices

from connections.brokers.records import AuthMethod, Broker


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
BY_FILE = "By file only"
BY_FLEX = "By Flex query"
EVENING = "Evening before"

_COINS = {Topic.POSITIONS: "Coins only", Topic.BALANCES: NOT_TOLD, Topic.TRADES: "Coins only"}
_FILE_HISTORY = {Topic.DIVIDENDS: BY_FILE, Topic.TRANSFERS: BY_FILE, Topic.EVENTS: BY_FILE}
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
    AuthMethod.ROBINHOOD_OAUTH: _FILE_HISTORY,
    AuthMethod.ROBINHOOD_CRYPTO: _COINS | _NO_HISTORY,
    AuthMethod.ROBINHOOD_LOGIN: {},
    AuthMethod.ALPACA_OAUTH: {},
}


_FILES: defaultdict[Broker, list[str]] = defaultdict(list)


def register_file(broker: Broker, label: str) -> None:
    """A kind of file of this broker that the hub reads; whoever reads files says so when the hub starts."""
    if label not in _FILES[broker]:
        _FILES[broker].append(label)


def files() -> list[str]:
    """The kinds of files that the hub reads, in words."""
    return [label for labels in _FILES.values() for label in labels]


def deliveries(method: AuthMethod, broker: Broker) -> Iterator[Delivery]:
    """Every topic in the same order, so that ways can be compared. Raises KeyError for a way nobody has described.

    What only a file tells is promised where the hub reads files of that broker.
    """
    less = _LESS[method]
    for topic in Topic:
        words = less.get(topic, YES)
        if words == BY_FILE and not _FILES[broker]:
            words = NOT_TOLD
        yield Delivery(topic, words not in (NOT_TOLD, BY_FILE), words)
