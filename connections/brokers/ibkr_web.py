"""Interactive Brokers' Web API, signed by OAuth 1.0a: accounts, positions, cash, and what accounts were worth.

A live session token opens `/portfolio` and PortfolioAnalyst's routes at once; nothing else is read. `/iserver` is left
alone: its session is the person's one and only, and taking it throws them out of their trading platform. What happened
in an account the Web API hardly tells; that comes from a Flex query, if the person has added one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone

from connections.brokers import ibkr_oauth, ibkr_performance, ibkr_web_rows
from connections.brokers.base import BrokerUnavailable, Grant, Grants, NeedsReauth, Refused, UnexpectedReply
from connections.brokers.budgets import Budget
from connections.brokers.calls import Operation
from connections.brokers.ibkr_flex import LONGEST_TOKEN, TOKEN, IbkrFlex
from connections.brokers.ibkr_replies import SessionLost, judge_reply
from connections.brokers.parsing import Row, checked, understood
from connections.brokers.records import AccountRecord, Broker, Holdings, Identity, TransactionPage, ValueRecord
from connections.brokers.transport import BrokerSession, Wire

ACCOUNTS, OF_ADVISER, OF_ADVISER_PAGED = "/portfolio/accounts", "/portfolio/subaccounts", "/portfolio/subaccounts2"
LISTS, SECONDS = 1, 6  # of accounts, per login; the broker says five, but one call may be longer on its way
LONGEST_LIST, LIST_PAGE = 100, 20  # accounts
MOST_PAGES = 500
MOST_CONTRACTS = 200  # in one question for definitions


def session(connection_id: UUID | None, grants: Grants) -> BrokerSession:
    return BrokerSession(
        wire=ibkr_oauth.wire(connection_id),
        base_url=ibkr_oauth.api_url(),
        grants=grants,
        sign=ibkr_oauth.signed,
        judge=judge_reply,
        headers=ibkr_oauth.USER_AGENT,
    )


@dataclass(frozen=True, slots=True)
class HistoryKeys:
    """The Flex keys that ride along in a connection's secrets, as the grants of an IbkrFlex."""

    keys: dict[str, str] = field(repr=False)

    def current(self) -> Grant:
        ends = timezone.now() + LONGEST_TOKEN
        return Grant(secrets=self.keys, access_expires_at=ends, authorization_expires_at=None)

    def renew(self, *, refused: Grant) -> Grant:
        raise NeedsReauth(TOKEN["1012"], reason_code="keys_refused")


@dataclass(slots=True)
class IbkrWeb:
    """Lives for one sync. The list of accounts is asked for once: it opens the other routes for the session."""

    session: BrokerSession
    broker: ClassVar = Broker.IBKR
    look_back: ClassVar = IbkrFlex.look_back
    history: ClassVar = IbkrFlex.history
    drops_rows: ClassVar = False
    _listed: list[Row] = field(default_factory=list, init=False, repr=False)
    _listed_in: str = field(default="", init=False, repr=False)  # the live session token it was asked with
    _flex: IbkrFlex | None = field(default=None, init=False, repr=False)

    def identity(self) -> Identity:
        """Account numbers are unique in the world; the lowest stays when accounts are opened later."""
        return Identity(broker_user_key=min(account.external_id for account in self.accounts()))

    def accounts(self) -> list[AccountRecord]:
        """At least one: a login without accounts has no access to this API, so an empty list is no answer."""
        self._open()
        with understood(self.broker, "accounts"):
            accounts = ibkr_web_rows.accounts(self._listed)
        if not accounts:
            raise UnexpectedReply("Interactive Brokers lists no account for this sign-in.")
        return accounts

    def holdings(self, account_id: str) -> Holdings:
        """Never without positions while the account's ledger counts the value of some."""
        as_of = timezone.now()
        ledger = checked(self.broker, "balances", self._get(f"/portfolio/{account_id}/ledger"), dict)
        summary = checked(self.broker, "balances", self._get(f"/portfolio/{account_id}/summary"), dict)
        with understood(self.broker, "positions"):
            rows = self._positions(account_id)
            if ibkr_web_rows.is_incomplete(ledger, rows):
                raise BrokerUnavailable("Interactive Brokers counts positions in this account that it does not list.")
            positions = tuple(map(ibkr_web_rows.position, rows))
            balances = tuple(ibkr_web_rows.balances(ledger, summary, positions))
        return Holdings(as_of=as_of, positions=positions, balances=balances)

    def transactions(self, account_id: str, *, since: date, until: date) -> Iterator[TransactionPage]:
        """By the connection's Flex query; without one no page at all, so that no day counts as read."""
        keys = self.session.grants.current().secrets.get("history")
        if not keys:
            return
        if self._flex is None:
            wire = Wire(broker=self.broker, connection_id=self.session.wire.connection_id)
            self._flex = IbkrFlex(wire, HistoryKeys(keys))
        try:
            yield from self._flex.transactions(account_id, since=since, until=until)
        except NeedsReauth as error:  # of the Flex token: the sign-in itself is good
            raise Refused(f"{error} Until then there are no new transactions.") from error

    def values(self, account_ids: Sequence[str], *, since: date) -> dict[str, tuple[ValueRecord, ...]]:
        """All accounts in one question, which is allowed once in a quarter of an hour; it is not asked again."""
        self._open()
        budget = self._pace(ibkr_performance.PATH, ibkr_performance.ONCE, ibkr_performance.SECONDS)
        return ibkr_performance.values(self.session, account_ids, since=since, pace=budget)

    # --- Positions ----------------------------------------------------------------------------------------------------

    def _positions(self, account_id: str) -> list[Row]:
        rows: list[Row] = []
        for page in range(MOST_PAGES):
            found = self._page(account_id, page)
            rows += found
            if len(found) < ibkr_web_rows.page_size(found):
                return self._defined(ibkr_web_rows.held(rows))
        raise UnexpectedReply("Interactive Brokers' list of positions does not end.")

    def _page(self, account_id: str, page: int) -> list[Row]:
        """Definitions of the instruments may be missing from the first answer, and come with the second."""
        path = f"/portfolio/{account_id}/positions/{page}"
        rows = checked(self.broker, "positions", self._get(path), list)
        if not all(map(ibkr_web_rows.is_defined, rows)):
            rows = checked(self.broker, "positions", self._get(path), list)
        return rows

    def _defined(self, rows: list[Row]) -> list[Row]:
        """With the definitions that the list itself has not told."""
        missing = [str(row["conid"]) for row in rows if not ibkr_web_rows.is_defined(row)]
        known: dict[str, Row] = {}
        for start in range(0, len(missing), MOST_CONTRACTS):
            conids = ",".join(missing[start : start + MOST_CONTRACTS])
            known |= {str(each["conid"]): each for each in self._definitions(conids)}
        return [{**row, **known.get(str(row["conid"]), {})} for row in rows]

    def _definitions(self, conids: str) -> list[Row]:
        """How queries are signed is not documented for certain: a refusal here says nothing about the sign-in."""
        try:
            answer = self._get("/trsrv/secdef", conids=conids)
        except NeedsReauth as error:
            raise Refused("Interactive Brokers does not tell what some of the positions are.") from error
        return checked(self.broker, "positions", answer["secdef"], list) if answer else []  # none is no content

    # --- Calls --------------------------------------------------------------------------------------------------------

    def _get(self, path: str, **params: str) -> Any:
        """In a session that has asked for the accounts; in another one when the broker has forgotten it."""
        token = self._open()
        try:
            return self.session.get(path, operation=Operation.HOLDINGS, params=params)
        except SessionLost:
            self._renew(token)
        except NeedsReauth:
            if token.secrets == self.session.grants.current().secrets:
                raise  # the renewal itself was refused
        self._open()
        return self.session.get(path, operation=Operation.HOLDINGS, params=params)

    def _renew(self, refused: Grant) -> None:
        """Opens another session unless this was done already."""
        if self.session.grants.current().secrets == refused.secrets:
            self.session.grants.renew(refused=refused)

    def _open(self) -> Grant:
        """The grant of a session in which the accounts were asked for."""
        grant = self.session.grants.current()
        if self._listed_in != grant.secrets["live_session_token"]:
            try:
                self._listed = self._list()
            except SessionLost:
                self._renew(grant)
                self._listed = self._list()
            grant = self.session.grants.current()  # the first call may have renewed it
            self._listed_in = grant.secrets["live_session_token"]
        return grant

    def _list(self) -> list[Row]:
        rows = self._accounts(ACCOUNTS)
        if ibkr_web_rows.is_advisers(rows):
            rows = self._accounts(OF_ADVISER)
            if len(rows) >= LONGEST_LIST:
                rows = self._paged()
        return rows

    def _paged(self) -> list[Row]:
        rows: list[Row] = []
        for page in range(MOST_PAGES):
            found = self._accounts(OF_ADVISER_PAGED, page=str(page))
            rows += found
            if len(found) < LIST_PAGE:
                return rows
        raise UnexpectedReply("Interactive Brokers' list of accounts does not end.")

    def _accounts(self, path: str, **params: str) -> list[Row]:
        pace = self._pace(path, LISTS, SECONDS)
        answer = self.session.get(path, operation=Operation.ACCOUNTS, params=params, pace=pace)
        if isinstance(answer, dict):  # one of the routes wraps its list, by the documentation if not by its sample
            answer = answer.get("subaccounts")
        return checked(self.broker, "accounts", answer, list)

    def _pace(self, path: str, calls: int, seconds: int) -> Budget:
        """A route of its own limit, per login: told from others by its access token, which nobody else has."""
        token = self.session.grants.current().secrets["access_token"]
        owner = hashlib.sha256(token.encode()).hexdigest()[:16]
        return Budget(calls, seconds, f"{path}:{owner}", is_exact=True)
