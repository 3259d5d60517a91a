"""The API of Robinhood's own app, as HTTP: its hosts, the headers it wants, its limits, and what the hub may read.

Robinhood documents nothing of it and changes it without notice; facts are from public clients (robin_stocks 3.4.0,
pyrh, pyhood). The sign-in is in `robinhood_login.py`, what is asked for in `robinhood_private.py`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import requests
from django.conf import settings
from django.utils import timezone
from requests.auth import AuthBase

from connections.brokers import robinhood_rows, surroundings
from connections.brokers.base import BrokerError, Grants, NeedsReauth, RateLimited, Refused, UnexpectedReply
from connections.brokers.budgets import Budget
from connections.brokers.calls import Attribution, Operation, Outcome
from connections.brokers.records import Broker
from connections.brokers.robinhood_rows import Row, understood
from connections.brokers.transport import (
    DEFAULT_RATE_LIMIT_WAIT,
    LONGEST_WAIT,
    Reply,
    Wire,
    judge,
    patiently,
    timeouts,
)

CALLS, SECONDS = 4, 2  # two a second: what others measured to be safe for every endpoint
MAX_PAGES = 2000
API, BONFIRE, NUMMUS = "api", "bonfire", "nummus"
READING_TOKEN = "read_only_access_token"  # nosec B105  # its name among a grant's secrets
HEADERS = {  # as robin_stocks sends them, whose user agent is not refused; `br` is left out, which nobody here unpacks
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Accept-Language": "en-US,en;q=1",
    "User-Agent": "*",
    "X-Robinhood-API-Version": "1.431.4",
}
ID = r"[0-9A-Za-z-]+"
READABLE = {  # nothing else is ever asked for; a slash at the end is part of the address, also where it is missing
    API: (
        "/accounts/",
        rf"/accounts/{ID}/",
        "/accounts/sweeps/",
        "/accounts/stock_loan_payments/",
        "/ach/received/transfers/",
        "/cash_journal/margin_interest_charges/",
        "/corp_actions/adr_fees/",
        "/corp_actions/v2/split_payments/",
        "/dividends/",
        "/instruments/",
        rf"/instruments/{ID}/",
        rf"/marketdata/forex/quotes/{ID}/",
        "/marketdata/historicals/",
        "/marketdata/options/",
        "/options/corp_actions/",
        "/options/events/",
        rf"/options/instruments/{ID}/",
        "/options/orders/",
        "/options/positions/",
        "/orders/",
        rf"/portfolios/{ID}/",
        "/positions/",
        "/quotes/",
        "/subscription/subscription_fees/",
        "/wire/transfers",
    ),
    BONFIRE: (
        "/acats/",
        "/crypto/transfers/history/",
        "/gold/deposit_boost_paid_payouts/",
        "/paymenthub/unified_transfers/",
        rf"/portfolio/account/{ID}/live",
    ),
    NUMMUS: ("/accounts/", "/holdings/", "/orders/"),
}


class Forbidden(Refused):
    """This token, or this login, may not read it (403)."""


class Gone(Refused):
    """There is no such address or thing at Robinhood, or no more (404, 410)."""


def root(host: str) -> str:
    """The address of one of Robinhood's hosts, without a slash at its end."""
    sandbox: str = settings.BROKERS_SANDBOX_URL
    return f"{sandbox}/robinhood/{host}" if sandbox else f"https://{host}.robinhood.com"


def wire(connection_id: UUID | None) -> Wire:
    """The metered way. Limits are per login, so each connection has a budget of its own; a sign-in is short."""
    return Wire(
        broker=Broker.ROBINHOOD,
        connection_id=connection_id,
        budget=Budget(CALLS, SECONDS, f"app:{connection_id}"),
        correlation_header="x-request-id",
    )


def readable(url: str) -> tuple[str, str]:
    """(`url` as it is to be asked for, which of READABLE it is).

    Raises UnexpectedReply for an address that is not on the list: a list's `next` is followed letter by letter, but
    neither to another host nor to another place. One `next` of ACH transfers was seen below `/public/`, where nothing
    is (robin_stocks, issue 209).
    """
    for host, paths in READABLE.items():
        base = root(host)
        if url.startswith(f"{base}/"):
            rest = url.removeprefix(base)
            if rest.startswith("/public/"):
                rest = rest.removeprefix("/public")
            path = urlsplit(rest).path
            for pattern in paths:
                if re.fullmatch(pattern, path):
                    return base + rest, f"{host}{pattern}"
    raise UnexpectedReply("Robinhood named an address that the hub never reads.")


def seconds_to_wait(reply: Reply) -> float:
    """By the header, else by the number in the sentence, else a minute; never more than a day.

    "Request was throttled. Expected available in 51 seconds." Header and number may each be missing, and values of
    a fortnight have been seen (robin_stocks, issues 257, 304, 326).
    """
    if reply.retry_after is not None:
        return reply.retry_after
    detail = reply.data.get("detail") if isinstance(reply.data, dict) else ""
    told = re.search(r"(\d{1,12}) second", str(detail))
    return min(float(told[1]), LONGEST_WAIT) if told else DEFAULT_RATE_LIMIT_WAIT


def judge_data(broker: Broker, reply: Reply) -> tuple[Outcome, Attribution, BrokerError | None]:
    if reply.status == 429:
        retry_at = timezone.now() + timedelta(seconds=seconds_to_wait(reply))
        limited = RateLimited(f"{broker.label} allows only so many requests.", retry_at=retry_at)
        return Outcome.RATE_LIMITED, Attribution.OURS, limited
    outcome, attribution, error = judge(broker, reply)
    if isinstance(error, Refused) and reply.status in (404, 410):
        error = Gone(f"{broker.label} has nothing there any more ({reply.status}).")
    elif isinstance(error, Refused) and reply.status == 403:
        error = Forbidden(str(error))
    return outcome, attribution, error


class TokenAuth(AuthBase):
    """As an auth object, so that a `.netrc` on the machine cannot replace the header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(slots=True, kw_only=True)
class AppSession:
    """Reads JSON from the app's API for one connection, and only what is in READABLE.

    A sign-in gives a token that can do all, and mostly one that can only read. That one is used first. Nobody has told
    which endpoints take it, so an endpoint that refuses it is asked once more with the other, and from then on at once.
    """

    wire: Wire
    grants: Grants
    _refusing: set[str] = field(default_factory=set)  # endpoints that do not take the reading token

    def get(self, host: str, path: str, *, operation: Operation, params: Mapping[str, str] | None = None) -> Any:
        return self._read(root(host) + path, operation, params)

    def rows(
        self,
        host: str,
        path: str,
        *,
        operation: Operation,
        params: Mapping[str, str] | None = None,
        is_last: Callable[[list[Row]], bool] = lambda page: False,
    ) -> list[Row]:
        """A list to its end, or to the first page that `is_last`; each row once, though pages may shift meanwhile."""
        found: dict[str, Row] = {}
        url: str | None = root(host) + path
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            if not url or url in seen:
                break
            seen.add(url)
            data = self._read(url, operation, params)
            params = None  # they are part of the address that follows
            with understood("list"):
                page = robinhood_rows.rows(data, "results")
                for row in page:
                    found.setdefault(str(row.get("id") or row["url"]), row)
                url = None if is_last(page) else data["next"]
        if url:
            raise UnexpectedReply("Robinhood's list does not come to an end.")
        return list(found.values())

    def _read(self, url: str, operation: Operation, params: Mapping[str, str] | None) -> Any:
        """The parsed answer. Retries what time may mend, renews the grant once on 401. Raises BrokerError."""
        url, endpoint = readable(url)
        ask = partial(self._once, url, operation, params)
        grant = self.grants.current()
        if READING_TOKEN in grant.secrets and endpoint not in self._refusing:
            try:
                return patiently(partial(ask, grant.secrets[READING_TOKEN])).data
            except (NeedsReauth, Forbidden):
                self._refusing.add(endpoint)
        try:
            return patiently(partial(ask, grant.secrets["access_token"])).data
        except NeedsReauth:
            renewed = self.grants.renew(refused=grant)
        try:
            return patiently(partial(ask, renewed.secrets["access_token"])).data
        except NeedsReauth as error:
            surroundings.doubt(self.wire.broker, self.wire.connection_id, error)
            raise

    def _once(
        self, url: str, operation: Operation, params: Mapping[str, str] | None, token: str, deadline: float
    ) -> Reply:
        def send() -> requests.Response:
            return self.wire.session.get(
                url,
                params=params,
                headers=HEADERS,
                auth=TokenAuth(token),
                timeout=timeouts(deadline),
                allow_redirects=False,  # a token must not follow one
                stream=True,
            )

        return self.wire.exchange(operation, send, deadline=deadline, judge=judge_data)
