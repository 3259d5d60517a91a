"""The people of the sandbox: who they are, how they sign in, which accounts they have."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from connections.sandbox import stories, stories_abroad, stories_at_alpaca, stories_at_robinhood
from connections.sandbox.book import Account, Event
from connections.sandbox.diary import Diary, activity_ids
from connections.sandbox.market import Market
from connections.sandbox.trading_days import ONE_DAY

Story: TypeAlias = Callable[[list[Diary], date], None]
PASSWORD = "sandbox"  # nosec B105  # the same for everyone here, and shown on the sign-in page


@dataclass(slots=True)
class Person:
    login: str
    first_name: str
    last_name: str
    accounts: list[Account] = field(default_factory=list)
    password: str = field(default=PASSWORD, repr=False)

    def at(self, broker: str) -> list[Account]:
        return [account for account in self.accounts if account.broker == broker]

    def next_event_id(self) -> int:
        return max((event.id for account in self.accounts for event in account.events), default=90_000_000_000) + 11


class People:
    """Everyone the sandbox knows. Their stories end on the eve of the day on which they were last told."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self._people: dict[str, Person] = {}
        self._written: dict[tuple[str, str, date], list[list[Event]]] = {}  # once told, told again at once

    def tell(self, today: date) -> None:
        """Forget all and tell the seeded stories up to the day before `today`."""
        until = today - ONE_DAY
        self._people = {}
        of_maria = {
            "schwab": stories.maria, "robinhood": stories_at_robinhood.maria, "ibkr": stories_abroad.maria,
        }  # fmt: skip
        self._add(maria(), of_maria, until)
        of_james = {
            "schwab": stories.james, "robinhood": stories_at_robinhood.james, "alpaca": stories_at_alpaca.james,
        }  # fmt: skip
        self._add(james(), of_james, until)

    def get(self, login: str) -> Person | None:
        return self._people.get(login.strip().lower())

    def everyone(self) -> Iterable[Person]:
        return self._people.values()

    def owner_of(self, number: str) -> Person | None:
        return next((one for one in self.everyone() for account in one.accounts if account.number == number), None)

    def account(self, number: str) -> Account | None:
        return next((account for one in self.everyone() for account in one.accounts if account.number == number), None)

    def invent(self, *, login: str, seed: int, transactions: int, today: date) -> Person:
        """Add (or replace) a person with one account of so many transactions, for load tests."""
        number = str(80_000_000 + seed % 10_000_000)
        while (owner := self.owner_of(number)) and owner.login != login:
            number = str(int(number) + 1)
        account = Account(number=number, broker="schwab", name="Generated", margin=True)
        person = Person(login, "Generated", "Person", [account])
        account.fill(stories.generated(self.market, seed=seed, count=transactions, until=today - ONE_DAY))
        self._people[login] = person
        return person

    def _add(self, person: Person, told: Mapping[str, Story], until: date) -> None:
        """`told` is one story per broker; each has ids of its own, so that a new broker changes no other's history."""
        for broker, story in told.items():
            key = person.login, broker, until
            if key not in self._written:
                seed = f"{self.market.seed}:{person.login}"
                ids = activity_ids(seed if broker == "schwab" else f"{seed}:{broker}")
                diaries = [Diary(account, self.market, ids) for account in person.at(broker)]
                story(diaries, until)
                self._written[key] = [diary.written for diary in diaries]
            for account, events in zip(person.at(broker), self._written[key], strict=True):
                account.fill(events)
        self._people[person.login] = person


def maria() -> Person:
    individual = Account(number="40012345", broker="schwab", name="Individual", margin=True)
    rollover = Account(number="62907314", broker="schwab", name="Rollover IRA", margin=False)
    robinhood = Account(number="512904417", broker="robinhood", name="Robinhood individual", margin=True)
    abroad = Account(number="U7712345", broker="ibkr", name="Maria Santos", margin=True, currency="EUR")
    savings = Account(number="U7712346", broker="ibkr", name="Savings", margin=False, currency="EUR")
    return Person("maria", "Maria", "Santos", [individual, rollover, robinhood, abroad, savings])


def james() -> Person:
    account = Account(number="70355128", broker="schwab", name="Brokerage", margin=False, plain_names=True)
    robinhood = Account(number="518337206", broker="robinhood", name="Robinhood individual", margin=False)
    alpaca = Account(number="817204465", broker="alpaca", name="Alpaca individual", margin=True)
    return Person("james", "James", "Okafor", [account, robinhood, alpaca])
