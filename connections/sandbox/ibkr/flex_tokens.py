"""Flex tokens, the queries a person has set up, and the statements that are being made."""

import random
import secrets
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from connections.sandbox.clock import Clock

STANDARD_LIFETIME = timedelta(days=365)
REFERENCE_LIFETIME = timedelta(hours=1)
SECTIONS = (
    "AccountInformation", "EquitySummaryInBase", "CashReport", "OpenPositions", "Trades", "CashTransactions",
    "Transfers", "CorporateActions", "OptionEAE", "ConversionRates",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """A query as it was set up in the portal.

    `summaries`: with every level of detail ticked. `dashes`: `2026-11-21,09:31:00` instead of `20261121;093100`.
    """

    id: str
    name: str
    sections: tuple[str, ...] = SECTIONS
    without: tuple[str, ...] = ()  # fields that were not ticked
    summaries: bool = False
    dashes: bool = False
    legacy: bool = False
    closed_account: bool = False


QUERIES = {
    query.id: query
    for query in (
        Query("1001001", "HubActivity"),
        Query("1001002", "EveryLevelOfDetail", summaries=True),
        Query(
            "1001003", "TradesAndCashOnly", sections=("AccountInformation", "Trades", "CashTransactions"),
            without=("transactionID", "isin"),
        ),
        Query("1001004", "OldActivity", legacy=True),
        Query("1001005", "ClosedAccount", closed_account=True),
        Query("1001006", "OtherDateFormat", dashes=True),
    )
}  # fmt: skip


@dataclass(slots=True)
class FlexToken:
    login: str
    expires_at: datetime
    token: str = field(repr=False)
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """What was asked for. Made at `ready_at`, forgotten an hour later."""

    login: str
    query: Query
    first: date | None  # None: the query's own period
    last: date | None
    period: str
    asked_at: datetime
    ready_at: datetime


class FlexDesk:
    """Callers hold the world's lock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.forget()

    def forget(self) -> None:
        self._tokens: dict[str, FlexToken] = {}
        self._statements: dict[str, Statement] = {}
        self._references = random.Random("references").randrange(2_000_000, 4_000_000)  # nosec B311  # a seeded story, nothing secret

    def token_of(self, login: str) -> FlexToken:
        """The person's token; made when there is none."""
        living = [one for one in self._tokens.values() if one.login == login and not one.replaced]
        return living[-1] if living else self.renew(login, STANDARD_LIFETIME)

    def renew(self, login: str, lifetime: timedelta) -> FlexToken:
        """A new token kills the one before it."""
        for one in self._tokens.values():
            one.replaced = one.replaced or one.login == login
        token = FlexToken(login, self.clock.now() + lifetime, str(10**23 + secrets.randbelow(9 * 10**23)))
        self._tokens[token.token] = token
        return token

    def find(self, token: str) -> FlexToken | None:
        found = self._tokens.get(token)
        return None if found is None or found.replaced else found

    def owner(self, token: str) -> str | None:
        found = self._tokens.get(token)
        return found.login if found else None

    def order(self, login: str, query: Query, first: date | None, last: date | None, period: str, wait: float) -> str:
        """The reference code under which the statement can be fetched."""
        self._references += random.randrange(1, 90)  # nosec B311  # a seeded story, nothing secret
        now = self.clock.now()
        reference = f"{self._references}"
        self._statements[reference] = Statement(login, query, first, last, period, now, now + timedelta(seconds=wait))
        return reference

    def statement(self, login: str, reference: str) -> Statement | None:
        statement = self._statements.get(reference)
        if statement is None or statement.login != login:
            return None
        return statement if self.clock.now() < statement.asked_at + REFERENCE_LIFETIME else None
