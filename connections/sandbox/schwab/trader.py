"""The Trader API's read-only routes: accounts, transactions, preferences."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.http import HttpRequest

from connections.sandbox.book import Account, Event
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.schwab.accounts import account_body
from connections.sandbox.schwab.authority import Access, Grant
from connections.sandbox.schwab.side import SCHWAB, account_hash, bearer, errors, hash_of
from connections.sandbox.schwab.transactions import ALL_TYPES, row, type_of
from connections.sandbox.valuation import valued
from connections.sandbox.world import WORLD

LONGEST_SPAN = timedelta(days=365)
MOST_ROWS = 3_000
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


def read_only(request: HttpRequest) -> Access:
    """The token's reach, the call counted. Raises Refusal: 405 other than GET, 401 without a living token, 429."""
    access = SCHWAB.authority.access(bearer(request))
    if access is None:
        raise Refusal(401, errors(401))
    SCHWAB.spend(access.app_key)
    if request.method != "GET":
        raise Refusal(405, {"message": "Method not allowed"}, {"Allow": "GET"})
    return access


def permitted(request: HttpRequest) -> Grant:
    """What the person behind the token allowed. An app's own token opens no accounts."""
    grant = read_only(request).grant
    if grant is None:
        raise Refusal(401, errors(401))
    return grant


def ticked(grant: Grant) -> list[Account]:
    """A closed account is not told any more."""
    person = WORLD.people.get(grant.login)
    own = person.at(SCHWAB.name) if person else []
    return [account for account in own if account.number in grant.accounts and not account.is_closed]


def by_hash(grant: Grant, hash_value: str) -> Account:
    """Raises Refusal for a plain account number and for every account that was not ticked."""
    for account in ticked(grant):
        if hash_of(grant.app_key, account) == hash_value:
            return account
    raise Refusal(400, {"message": "Invalid account number"})


@operation(SCHWAB, "account_numbers")
def account_numbers(request: HttpRequest, exchange: Exchange) -> Any:
    grant = permitted(request)
    return [
        {"accountNumber": account.number, "hashValue": hash_of(grant.app_key, account)} for account in ticked(grant)
    ]


@operation(SCHWAB, "accounts")
def accounts(request: HttpRequest, exchange: Exchange) -> Any:
    return [_body(request, account) for account in ticked(permitted(request))]


@operation(SCHWAB, "accounts")
def account_detail(request: HttpRequest, exchange: Exchange, hash_value: str) -> Any:
    return _body(request, by_hash(permitted(request), hash_value))


def _body(request: HttpRequest, account: Account) -> dict[str, Any]:
    """Values of `fields` other than positions are ignored."""
    with_positions = "positions" in request.GET.get("fields", "").split(",")
    positions = valued(account, WORLD.market, WORLD.clock.today())
    return account_body(account, positions, with_positions=with_positions)


@operation(SCHWAB, "transactions")
def transactions(request: HttpRequest, exchange: Exchange, hash_value: str) -> Any:
    account = by_hash(permitted(request), hash_value)
    first, last = _instant(request, "startDate"), _instant(request, "endDate")
    if last < first:
        raise Refusal(400, {"message": "startDate must be before endDate"})
    if last - first > LONGEST_SPAN:
        raise Refusal(400, {"message": "The maximum date range between startDate and endDate is 1 year"})
    events = _selected(account, first, last, _types(request), request.GET.get("symbol"))
    return [row(event, account, WORLD.market) for event in islice(events, MOST_ROWS)]


@operation(SCHWAB, "transaction")
def transaction_detail(request: HttpRequest, exchange: Exchange, hash_value: str, activity_id: str) -> Any:
    account = by_hash(permitted(request), hash_value)
    event = account.find(int(activity_id))
    if event is None:
        raise Refusal(404, {"message": "Transaction not found"})
    return row(event, account, WORLD.market)


def _selected(
    account: Account, first: datetime, last: datetime, types: frozenset[str], symbol: str | None
) -> Iterator[Event]:
    """Newest first. Rows are chosen by the day they were posted, which for journals is later than their time."""
    for event in account.posted_between(first, min(last, WORLD.clock.now())):
        if type_of(event) in types and (not symbol or (event.quantity and event.symbol == symbol)):
            yield event


def _instant(request: HttpRequest, name: str) -> datetime:
    text = request.GET.get(name)
    if text is None:
        raise Refusal(400, {"message": f"Required parameter '{name}' is not present."})
    if INSTANT.fullmatch(text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except ValueError:
            pass  # 31 February: refused like any other text that is no instant
    raise Refusal(400, {"message": f"'{text}' is not a valid value for {name}"})


def _types(request: HttpRequest) -> frozenset[str]:
    """All, when none is named."""
    names = [name for name in request.GET.get("types", "").split(",") if name]
    for name in names:
        if name not in ALL_TYPES:
            raise Refusal(400, {"message": f"'{name}' is not a valid value for types"})
    return frozenset(names) or ALL_TYPES


@operation(SCHWAB, "user_preference")
def user_preference(request: HttpRequest, exchange: Exchange) -> Any:
    grant = permitted(request)
    return {
        "accounts": [
            {
                "accountNumber": account.number,
                "primaryAccount": place == 0,
                "type": "BROKERAGE",
                "nickName": account.name,
                "displayAcctId": f"...{account.number[-3:]}",
                "autoPositionEffect": False,
                "accountColor": "Green" if place == 0 else "Blue",
                "lotSelectionMethod": "FIFO",
            }
            for place, account in enumerate(ticked(grant))
        ],
        "streamerInfo": [
            {
                "streamerSocketUrl": "wss://streamer-api.schwab.com/ws",
                "schwabClientCustomerId": account_hash(grant.app_key, grant.login).lower(),
                "schwabClientCorrelId": str(uuid.uuid4()),
                "schwabClientChannel": "N9",
                "schwabClientFunctionId": "APIAPP",
            }
        ],
        "offers": [{"level2Permissions": True, "mktDataPermission": "NP"}],
    }


@operation(SCHWAB, "unknown_route")
def unknown_route(request: HttpRequest, exchange: Exchange, path: str = "") -> Any:
    """Whatever Schwab does not have: a revoke route, among others."""
    detail = {"errorcode": "messaging.adaptors.http.flow.ApplicationNotFound"}
    raise Refusal(404, {"fault": {"faultstring": "Unable to identify proxy for this route", "detail": detail}})
