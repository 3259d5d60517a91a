"""Interactive Brokers by its Flex Web Service: a query the person keeps at the broker, fetched as one XML document.

It answers for all accounts and all parts at once, so one sync fetches it once. Its own period gives holdings and the
last year; older days are asked for by date, a year at a time. Facts: IBKR's guide to the Flex Web Service, version 3.
"""

import hashlib
import time as clock
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import ClassVar

import requests
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from connections.brokers import ibkr_holdings, ibkr_rows, ibkr_statement
from connections.brokers.base import (
    Begun,
    BrokerError,
    BrokerUnavailable,
    Grant,
    Grants,
    KeyField,
    KeysRefused,
    NeedsReauth,
    RateLimited,
    Refused,
    UnderMaintenance,
    UnexpectedReply,
)
from connections.brokers.budgets import Budget
from connections.brokers.calls import Attribution, Operation, Outcome, misread
from connections.brokers.ibkr_instruments import Known
from connections.brokers.ibkr_statement import Control, IncompleteQuery, Odd, Report, Statement
from connections.brokers.records import AccountRecord, Broker, Holdings, Identity, TransactionPage
from connections.brokers.transport import CONNECT_TIMEOUT, Reply, Wire, judge

LIVE_URL = "https://ndcdyn.interactivebrokers.com"
SERVICE = "/AccountManagement/FlexWebService"
CALLS_PER_MINUTE = 10  # per token
BETWEEN_CALLS = 1.05  # seconds; one call a second per token
PAUSES = (2.0, 5.0, 10.0, 20.0, 25.0)  # seconds between the calls for one statement, which is made while we wait
PATIENCE = 75.0  # seconds for them all: a service that hangs is not asked to the last
LATER = timedelta(minutes=5)
WINDOW = timedelta(days=364)  # a span of 365 days, both ends included
LONGEST_TOKEN = timedelta(days=366)  # the person chooses up to a year; the service does not tell
STALE = timedelta(days=5)  # a statement ends the evening before; more than a long weekend is the query's setting
SECTIONS = ("Trades", "CashTransactions", "Transfers", "CorporateActions", "OpenPositions", "CashReport")

NOT_AVAILABLE, STALE_REFERENCE, TOO_MANY, OVERLOADED = "1003", "1017", "1018", "1009"
NOT_READY = {"1001", "1004", "1005", "1006", "1007", "1008", "1019", "1021"}
TOKEN = {
    "1012": "Your Flex token has expired. Make a new one at Interactive Brokers and enter it here.",
    "1015": "Interactive Brokers does not know your Flex token. Make a new one there and enter it here.",
}
SETUP = {
    "1010": "Your Flex query is of a kind Interactive Brokers no longer serves. Create an Activity Flex Query.",
    "1011": "The Flex Web Service is switched off at Interactive Brokers. Switch it on in its configuration there.",
    "1013": "Your Flex token works only from certain addresses. Make one without IP restriction and enter it here.",
    "1014": "Interactive Brokers does not know this query id. Compare it with the number beside your Flex query.",
    "1016": "Interactive Brokers says that an account of your Flex query is not valid. Choose its accounts anew.",
    "1020": "Interactive Brokers could not validate the request. Compare token and query id with what it shows.",
}


class NotAvailable(Refused):
    """There is no statement for the days asked for: the account was not open then, or they are not over yet."""


def base_url() -> str:
    return f"{settings.BROKERS_SANDBOX_URL}/ibkr" if settings.BROKERS_SANDBOX_URL else LIVE_URL


def _meaning(broker: Broker, code: str) -> tuple[Outcome, Attribution, BrokerError | None]:
    """What a control answer's code means; no code is a reference, and what is not ready yet is no failure."""
    now = timezone.now()
    if not code or code in NOT_READY or code == STALE_REFERENCE:
        return Outcome.OK, Attribution.NONE, None
    if code == TOO_MANY:
        limited = RateLimited(f"{broker.label} allows only so many requests.", retry_at=now + timedelta(seconds=65))
        return Outcome.RATE_LIMITED, Attribution.OURS, limited
    if code == OVERLOADED:
        busy = BrokerUnavailable(f"{broker.label} is too busy to make a statement.", retry_at=now + LATER)
        return Outcome.SERVER_ERROR, Attribution.BROKER, busy
    if code in TOKEN:
        return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, NeedsReauth(TOKEN[code], reason_code="keys_refused")
    if code in SETUP:
        return Outcome.CLIENT_ERROR, Attribution.CREDENTIAL, Refused(SETUP[code])
    if code == NOT_AVAILABLE:
        none = NotAvailable(f"{broker.label} has no statement for the period of your Flex query.")
        return Outcome.OK, Attribution.NONE, none
    unknown = UnexpectedReply(f"{broker.label} refused the statement with a code the hub does not know.")
    return Outcome.BAD_REPLY, Attribution.OURS, unknown


@dataclass(slots=True)
class FlexService:
    """The conversation: ask for a statement, wait while it is made, fetch it. One request at a time."""

    wire: Wire
    token: str = field(repr=False)
    query_id: str

    def statement(self, operation: Operation, *, first: date | None = None, last: date | None = None) -> Report:
        """The query's own period, or the days `first`..`last`. Waits about a minute at most.

        Raises NotAvailable, NeedsReauth, RateLimited, BrokerUnavailable, Refused or UnexpectedReply.
        """
        period = {} if first is None or last is None else {"fd": f"{first:%Y%m%d}", "td": f"{last:%Y%m%d}"}
        reference, trouble = "", "It is still making the statement."
        give_up = clock.monotonic() + PATIENCE
        for pause in (*PAUSES, None):
            try:
                if reference:
                    said = self._ask(operation, "GetStatement", q=reference)
                else:
                    said = self._ask(operation, "SendRequest", q=self.query_id, **period)
            except BrokerUnavailable as error:
                if error.retry_at is not None or isinstance(error, UnderMaintenance):
                    raise
                trouble = str(error)
            else:
                if isinstance(said, Report):
                    return said
                reference = "" if said.code == STALE_REFERENCE else said.reference or reference
            if pause is None or clock.monotonic() + pause > give_up:
                break
            clock.sleep(pause)
        sentence = f"{self.wire.broker.label} did not give the statement within a minute. {trouble}"
        raise BrokerUnavailable(sentence, retry_at=timezone.now() + LATER)

    def _ask(self, operation: Operation, step: str, **params: str) -> Report | Control:
        asked_at = f"flex:asked:{budget(self.token).owner}"  # a sync may follow the sign-in in another process
        clock.sleep(min(max(0.0, cache.get(asked_at, 0.0) + BETWEEN_CALLS - clock.time()), BETWEEN_CALLS))
        said: list[Report | Control] = []

        def understand(broker: Broker, reply: Reply) -> tuple[Outcome, Attribution, BrokerError | None]:
            if reply.status != 200:
                return judge(broker, reply)
            try:
                said.append(ibkr_statement.read(reply.text))
            except ValueError:
                garbled = BrokerUnavailable(f"{broker.label} sent something that is not a statement.")
                return Outcome.BAD_REPLY, Attribution.BROKER, garbled
            return _meaning(broker, said[0].code) if isinstance(said[0], Control) else _meaning(broker, "")

        try:
            self.wire.exchange(operation, lambda: self._send(step, params), judge=understand)
        finally:
            cache.set(asked_at, clock.time(), timeout=60)
        return said[0]

    def _send(self, step: str, params: dict[str, str]) -> requests.Response:
        """The token is part of the address, so an error that names the address must not get out."""
        try:
            return self.wire.session.get(
                f"{base_url()}{SERVICE}/{step}",
                params={"t": self.token, **params, "v": "3"},
                headers={"User-Agent": "BrokerHub/1.0", "Accept": "*/*"},
                timeout=(CONNECT_TIMEOUT, settings.BROKER_READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )
        except requests.Timeout:
            raise requests.Timeout(f"{step} took too long") from None
        except requests.RequestException as error:
            raise requests.ConnectionError(f"{step} failed: {type(error).__name__}") from None


@dataclass(frozen=True, slots=True)
class FlexKeys:
    """The two numbers a person copies from Interactive Brokers. A token lasts as long as was chosen there."""

    redirect_uri: str = ""

    def begin(self, *, state: str) -> Begun:
        raise Refused("Interactive Brokers' Flex Web Service works with keys, without a sign-in page.")

    @sensitive_variables()
    def complete(self, *, answer: Mapping[str, str], kept: Mapping[str, str], at: datetime) -> Grant:
        """Keys that can be right by their form; whether they are, the first statement tells. Raises KeysRefused."""
        keys = {"token": answer.get("token", "").strip(), "query_id": answer.get("query_id", "").strip()}
        for name, title in (("token", "token"), ("query_id", "query id")):
            if not (keys[name].isascii() and keys[name].isdigit()):
                raise KeysRefused(f"A Flex {title} consists of digits only. Copy it once more.", field=name)
        if len(keys["token"]) <= len(keys["query_id"]):
            raise KeysRefused("Token and query id seem to have changed places: the token is the longer.", field="token")
        return Grant(secrets=keys, access_expires_at=at + LONGEST_TOKEN, authorization_expires_at=None)

    def refresh(self, grant: Grant) -> Grant:
        raise NeedsReauth(TOKEN["1012"], reason_code="keys_refused")


@contextmanager
def _understood(part: str) -> Iterator[None]:
    try:
        yield
    except Odd as odd:
        misread()
        raise UnexpectedReply(f"Interactive Brokers' {part} came in a form the hub does not know: {odd}.") from odd


@dataclass(slots=True)
class IbkrFlex:
    """Lives for one sync: what was fetched, or why it could not be, holds for all accounts and parts."""

    wire: Wire
    grants: Grants
    broker: ClassVar = Broker.IBKR
    look_back: ClassVar = timedelta(days=30)  # corrections and late postings come within about a month
    history: ClassVar = timedelta(days=5 * 365)
    drops_rows: ClassVar = False
    _service: FlexService | None = field(default=None, init=False, repr=False)
    _fetched: dict[tuple[date, date] | None, Report | BrokerError] = field(default_factory=dict, init=False, repr=False)

    def identity(self) -> Identity:
        """Account numbers are unique in the world; the lowest stays when accounts are opened later.

        Raises IncompleteQuery with all the sections that are missing, so that the person edits the query once.
        """
        statements = self._own(Operation.IDENTITY)
        if not statements:
            raise Refused("Your Flex query has no account. Choose its accounts at Interactive Brokers.")
        given = set.intersection(*(set(statement.sections) for statement in statements))
        titles = [ibkr_statement.TITLES[name] for name in SECTIONS if name not in given]
        if titles:
            raise IncompleteQuery(f"Your Flex query lacks: {', '.join(titles)}. Add them, save it, and try again.")
        known = Known.by(statements)
        with _understood("statement"):
            for statement in statements:
                for _record in ibkr_rows.transactions(statement, known):
                    pass  # read for the fields it may lack
                ibkr_holdings.holdings(statement)
        return Identity(broker_user_key=min(statement.account_id for statement in statements))

    def accounts(self) -> list[AccountRecord]:
        with _understood("accounts"):
            return [ibkr_holdings.account(statement) for statement in self._own(Operation.ACCOUNTS)]

    def holdings(self, account_id: str) -> Holdings:
        """As of the evening on which the statement ends, which is the last market day that is over."""
        with _understood("positions"):
            return ibkr_holdings.holdings(self._of(account_id, Operation.HOLDINGS))

    def transactions(self, account_id: str, *, since: date, until: date) -> Iterator[TransactionPage]:
        with _understood("transactions"):
            yield from self._pages(account_id, since, until)

    def _pages(self, account_id: str, since: date, until: date) -> Iterator[TransactionPage]:
        own = self._of(account_id, Operation.TRANSACTIONS)
        windows = list(self._windows(own, since))
        notes: list[str] = []
        for number, (first, last) in enumerate(windows, start=1):
            try:
                report = self._report(Operation.TRANSACTIONS, (first, last))
            except NotAvailable:  # nothing was open then, which `opened` has not told
                continue
            found = [statement for statement in report.statements if statement.account_id == account_id]
            if not found or found[0].last < first or found[0].first > last:
                notes.append(f"Interactive Brokers gave no statement for {first} to {last}.")
                continue
            yield self._page(found[0], number, len(windows) + 1, tuple(notes), covers_from=min(since, first))
            notes = []
        if own.last < until - STALE:
            notes.append(
                f"Your Flex query ends on {own.last}. Set its period to Last 365 Calendar Days, to read on every day."
            )
        start = own.first if windows else min(since, own.first)
        yield self._page(own, len(windows) + 1, len(windows) + 1, tuple(notes), covers_from=start)

    def _windows(self, own: Statement, since: date) -> Iterator[tuple[date, date]]:
        """The years before the query's own period, oldest first, as far back as `since` or as the account goes.

        They end and begin on the same days for all accounts, so that each is fetched once.
        """
        opened = [day for day in map(ibkr_holdings.opened_on, self._own(Operation.TRANSACTIONS)) if day is not None]
        earliest = min(opened, default=date.min)
        since = max(since, ibkr_holdings.opened_on(own) or since)
        windows: list[tuple[date, date]] = []
        end = own.first - timedelta(days=1)
        while end >= since:
            windows.append((max(earliest, end - WINDOW), end))
            end = windows[-1][0] - timedelta(days=1)
        return reversed(windows)

    def _page(
        self, statement: Statement, number: int, count: int, notes: tuple[str, ...], *, covers_from: date
    ) -> TransactionPage:
        known = Known.by([statement, *self._own(Operation.TRANSACTIONS)])
        return TransactionPage(
            records=tuple(ibkr_rows.transactions(statement, known)),
            covers_from=covers_from,
            covers_to=statement.last,
            number=number,
            window_count=count,
            notes=notes,
        )

    def _of(self, account_id: str, operation: Operation) -> Statement:
        for statement in self._own(operation):
            if statement.account_id == account_id:
                return statement
        raise Refused("Your Flex query no longer includes this account. Add it there to go on reading it.")

    def _own(self, operation: Operation) -> tuple[Statement, ...]:
        """The statements of the query's own period, one per account."""
        report = self._report(operation, None)
        if report.kind != "AF":
            raise IncompleteQuery("This is a trade confirmation query. Create an Activity Flex Query and enter its id.")
        ids = [statement.account_id for statement in report.statements]
        if len(set(ids)) != len(ids):
            raise IncompleteQuery("Your Flex query is broken out by day. Set Breakout by Day to No.")
        return report.statements

    def _report(self, operation: Operation, window: tuple[date, date] | None) -> Report:
        if window not in self._fetched:
            first, last = window or (None, None)
            try:
                self._fetched[window] = self._talk().statement(operation, first=first, last=last)
            except BrokerError as error:
                self._fetched[window] = error
        fetched = self._fetched[window]
        if isinstance(fetched, BrokerError):
            raise fetched
        return fetched

    def _talk(self) -> FlexService:
        if self._service is None:
            secrets = self.grants.current().secrets
            self.wire.budget = budget(secrets["token"])
            self._service = FlexService(self.wire, secrets["token"], secrets["query_id"])
        return self._service


def budget(token: str) -> Budget:
    """What one token may ask, over all processes."""
    return Budget(CALLS_PER_MINUTE, 60, hashlib.sha256(token.encode()).hexdigest()[:16])


FIELDS = (
    KeyField(name="token", label="Flex token", help="A long number from Flex Web Service Configuration."),
    KeyField(
        name="query_id",
        label="Query id",
        help="The number beside your query in the list of Flex queries.",
        is_secret=False,
    ),
)
STEPS = (
    "Sign in at Interactive Brokers' Client Portal and open Performance & Reports, then Flex Queries.",
    "Create an Activity Flex Query and choose all the accounts you want to see here.",
    "Add the sections Account Information, Cash Report, Cash Transactions, Corporate Actions, Net Asset Value (NAV) in "
    "Base, Open Positions, Trades and Transfers, and in each of them Select All fields.",
    "In Trades tick Execution only; in Cash Transactions choose Detail; in Open Positions choose Summary; in Cash "
    "Report tick Currency Breakout.",
    "Set format to XML, period to Last 365 Calendar Days, date format to yyyyMMdd, time format to HHmmss, the "
    "separator to a semicolon, and Breakout by Day to No. Save, and copy the query id from the list.",
    "Still under Flex Queries open Flex Web Service Configuration, switch it on, choose one year, and copy the token. "
    "A new token ends the one before.",
)
