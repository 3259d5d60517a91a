"""Robinhood by the API of its app: what is asked for, by which token, page by page, and what a refusal means."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from connections.brokers import robinhood_app, robinhood_private
from connections.brokers.base import (
    Grant,
    NeedsReauth,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from connections.brokers.calls import Operation
from connections.brokers.records import AccountKind, AssetClass, Broker, ParkedRecord
from connections.brokers.robinhood_app import API, AppSession, Forbidden, Gone, readable
from connections.brokers.robinhood_login import RobinhoodLogin
from connections.brokers.transport import Reply
from connections.tokens import FreshGrant
from tests.connections.conftest import some_grant, whole

pytestmark = pytest.mark.usefixtures("unpaced")

JSON = b"Content-Type: application/json\r\n"
JAMES = "518337206"
TODAY = datetime.now(UTC).date()


@pytest.fixture
def sign_in(sandbox):
    def make(login="james"):
        sandbox.control("robinhood/logins", login=login, way="none")
        grant = RobinhoodLogin().open({"username": login, "password": "sandbox"}, {})
        assert isinstance(grant, Grant)
        return grant

    return make


def reading(grant):
    return robinhood_private.connector(None, FreshGrant(grant))


def app():
    return AppSession(wire=robinhood_app.wire(None), grants=FreshGrant(some_grant()))


def recent(connector, number=JAMES):
    """All pages of the last month."""
    return list(connector.transactions(number, since=TODAY - timedelta(days=30), until=TODAY))


# --- Accounts ---------------------------------------------------------------------------------------------------------


def test_an_account_is_told_with_its_other_numbers(sign_in):
    connector = reading(sign_in())
    [account] = connector.accounts()
    assert (account.external_id, account.number_mask, account.kind) == (JAMES, "7206", AccountKind.CASH)
    assert account.aliases == (f"C{JAMES}",)
    assert account.closed is False
    assert connector.identity().broker_user_key == JAMES


def accounts_answer(*rows):
    return whole(json.dumps({"next": None, "results": rows}).encode(), JSON)


def account_row(number, **more):
    """Enough for the list of accounts, and for that of places for coins, which are given by the same answer."""
    return {
        "url": f"https://api.robinhood.com/accounts/{number}/",
        "account_number": number,
        "rhs_account_number": int(number),
        "type": "margin",
        "brokerage_account_type": "ira_roth",
        "nickname": "",
        "permanently_deactivated": False,
    } | more


def test_the_lowest_number_stands_for_the_login_and_closed_accounts_are_said_to_be(answering, settings):
    rows = (account_row("1000000001"), account_row("900000001", permanently_deactivated=True))
    settings.BROKERS_SANDBOX_URL = answering(accounts_answer(*rows), hang_up=True)
    connector = robinhood_private.RobinhoodPrivate(app())
    assert connector.identity().broker_user_key == "900000001"
    told = {account.external_id: account for account in connector.accounts()}
    assert (told["1000000001"].closed, told["900000001"].closed) == (False, True)
    assert told["1000000001"].name == "Roth IRA"
    assert told["1000000001"].aliases == (), "a number that is the same as an integer is no other one"


def test_a_login_without_accounts_is_nobodys(answering, settings):
    settings.BROKERS_SANDBOX_URL = answering(accounts_answer(), hang_up=True)
    with pytest.raises(UnexpectedReply, match="whose login"):
        robinhood_private.RobinhoodPrivate(app()).identity()


def test_an_account_of_somebody_else_is_not_read(sign_in):
    connector = reading(sign_in())
    with pytest.raises(Refused, match="does not list"):
        connector.holdings("512904417")
    with pytest.raises(Refused, match="does not list"):
        recent(connector, "512904417")


# --- Tokens -----------------------------------------------------------------------------------------------------------


def test_the_token_that_only_reads_is_used_where_there_is_one(sign_in, sandbox):
    grant = sign_in()
    only_reading = Grant(
        secrets=grant.secrets | {"access_token": "a-token-nobody-gave"},
        access_expires_at=grant.access_expires_at,
        authorization_expires_at=None,
    )
    connector = reading(only_reading)
    assert connector.holdings(JAMES).positions
    assert recent(connector)


@pytest.mark.parametrize("kind", ["403", "401"])
def test_an_endpoint_that_refuses_it_gets_the_other_token_from_then_on(sign_in, sandbox, kind):
    connector = reading(sign_in())
    sandbox.fault(kind, "positions", broker="robinhood", times=1)
    connector.holdings(JAMES)
    connector.holdings(JAMES)
    assert [call["status"] for call in sandbox.calls("positions")] == [int(kind), 200, 200]
    assert {call["status"] for call in sandbox.calls("portfolios")} == {200}


def test_a_sign_in_without_such_a_token_reads_with_the_one_it_has(sign_in):
    grant = sign_in()
    grant.secrets.pop("read_only_access_token")
    assert reading(grant).holdings(JAMES).positions


def test_when_both_are_refused_access_is_renewed_once(sign_in, sandbox):
    grant = sign_in()
    renewed: list[Grant] = []

    class Renewing(FreshGrant):
        def current(self):
            return renewed[-1] if renewed else self.grant

        def renew(self, *, refused):
            renewed.append(RobinhoodLogin().refresh(refused))
            return renewed[-1]

    sandbox.end_tokens("james", expire=True, broker="robinhood")
    connector = robinhood_private.connector(None, Renewing(grant))
    assert connector.holdings(JAMES).positions
    assert recent(connector)
    assert len(renewed) == 1


def test_no_token_is_printed(sign_in):
    grant = sign_in()
    connector = reading(grant)
    connector.accounts()
    for secret in grant.secrets.values():
        assert secret not in repr(connector)


# --- Addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/orders/",
        "http://api.robinhood.com/orders/",
        "https://api.robinhood.com.evil.example/orders/",
        "https://api.robinhood.com@evil.example/orders/",
        "https://api.robinhood.com/orders/../ach/transfers/",
        "https://api.robinhood.com/orders/1111/cancel/",
        "https://api.robinhood.com/oauth2/token/",
        "https://api.robinhood.com/ach/transfers/",
        "https://nummus.robinhood.com/dividends/",
        "https://phoenix.robinhood.com/accounts/unified",
        "https://api.robinhood.com/portfolios/historicals/900000001/",
        "/orders/",
    ],
)
def test_an_address_that_is_not_on_the_list_is_never_asked_for(settings, url):
    settings.BROKERS_SANDBOX_URL = ""
    with pytest.raises(UnexpectedReply, match="never reads"):
        readable(url)


def test_an_address_on_the_list_is_followed_letter_by_letter_but_for_the_place_where_nothing_is(settings):
    settings.BROKERS_SANDBOX_URL = ""
    for url in (
        "https://api.robinhood.com/orders/?cursor=cD0yMDI2&updated_at%5Bgte%5D=x",
        "https://nummus.robinhood.com/orders/?cursor=a%3D",
        "https://bonfire.robinhood.com/acats/?both_directions=true",
        "https://bonfire.robinhood.com/portfolio/account/900000001/live",
    ):
        assert readable(url)[0] == url
    quirk = "https://api.robinhood.com/public/ach/received/transfers/?cursor=a"
    assert readable(quirk)[0] == "https://api.robinhood.com/ach/received/transfers/?cursor=a"


def test_with_the_sandbox_nothing_goes_to_the_real_hosts(settings):
    settings.BROKERS_SANDBOX_URL = "http://127.0.0.1:8900"
    assert readable("http://127.0.0.1:8900/robinhood/api/orders/")
    with pytest.raises(UnexpectedReply):
        readable("https://api.robinhood.com/orders/")


# --- Lists ------------------------------------------------------------------------------------------------------------


def test_a_list_is_read_to_its_end_and_each_row_once(sign_in, sandbox):
    session = AppSession(wire=robinhood_app.wire(None), grants=FreshGrant(sign_in("maria")))
    rows = session.rows(API, "/orders/", operation=Operation.TRANSACTIONS)
    assert len(sandbox.calls("orders")) > 3
    assert len({row["id"] for row in rows}) == len(rows) > 200
    sandbox.fault("duplicate_page", "orders", broker="robinhood")
    assert session.rows(API, "/orders/", operation=Operation.TRANSACTIONS) == rows


def test_a_list_is_read_no_further_than_its_last_page(sign_in, sandbox):
    session = AppSession(wire=robinhood_app.wire(None), grants=FreshGrant(sign_in("maria")))
    rows = session.rows(
        API, "/orders/", operation=Operation.TRANSACTIONS, params={"page_size": "20"}, is_last=lambda page: True
    )
    assert len(rows) == 20


def test_a_list_that_goes_round_in_circles_is_ended(monkeypatch):
    page = {"results": [{"id": "1"}], "next": f"{robinhood_app.root(API)}/orders/?cursor=a"}
    monkeypatch.setattr(AppSession, "_read", lambda self, url, operation, params: page)
    with pytest.raises(UnexpectedReply, match="does not come to an end"):
        app().rows(API, "/orders/", operation=Operation.TRANSACTIONS)


@pytest.mark.parametrize(
    "said", [b"[]", b"{}", b'{"results": {"id": "1"}, "next": null}', b'{"results": ["row"], "next": null}']
)
def test_a_list_of_another_form_is_not_an_empty_one(answering, settings, said):
    settings.BROKERS_SANDBOX_URL = answering(whole(said, JSON), hang_up=True)
    with pytest.raises(UnexpectedReply):
        app().rows(API, "/orders/", operation=Operation.TRANSACTIONS)


# --- Refusals ---------------------------------------------------------------------------------------------------------


def judged(status, data=None, **headers):
    return robinhood_app.judge_data(Broker.ROBINHOOD, Reply(status, headers, "", data))[2]


@pytest.mark.parametrize(
    ("status", "error"), [(404, Gone), (410, Gone), (403, Forbidden), (400, Refused), (401, NeedsReauth)]
)
def test_a_refusal_is_told_apart_by_its_status(status, error):
    assert type(judged(status, {"detail": "no"})) is error


@pytest.mark.parametrize(
    ("data", "headers", "seconds"),
    [
        ({"detail": "Request was throttled. Expected available in 51 seconds."}, {}, 51),
        ({"detail": "Request was throttled. Expected available in 51 seconds."}, {"Retry-After": "7"}, 7),
        ({"detail": "Request was throttled."}, {}, 60),
        (None, {}, 60),
        (["no"], {}, 60),
        ({"detail": "Request was throttled. Expected available in 1154515 seconds."}, {}, 86400),
    ],
)
def test_a_limit_is_waited_for_as_long_as_it_says(data, headers, seconds):
    limited = judged(429, data, **headers)
    assert isinstance(limited, RateLimited)
    assert limited.retry_at is not None
    assert abs((limited.retry_at - timezone.now()).total_seconds() - seconds) < 2


HOLDINGS = (
    "accounts",
    "portfolios",
    "live",
    "positions",
    "quotes",
    "instruments",
    "crypto_accounts",
    "crypto_holdings",
)
OF_OPTIONS = ("option_positions", "option_instruments")
LISTS = {
    "orders": "orders of shares",
    "option_orders": "orders of options",
    "option_events": "orders of options",
    "crypto_orders": "orders of coins",
    "dividends": "dividends",
    "unified_transfers": "transfers",
    "ach_transfers": "transfers",
    "wires": "transfers",
    "acats": "transfers from other brokers",
    "interest": "interest",
    "fees": "fees",
    "splits": "splits",
}


@pytest.mark.parametrize("status", ["403", "410"])
def test_holdings_come_whole_or_not_at_all(sign_in, sandbox, status):
    grants = {operation: sign_in() for operation in HOLDINGS} | {name: sign_in("maria") for name in OF_OPTIONS}
    for operation, grant in grants.items():
        sandbox.fault(status, operation, broker="robinhood")
        with pytest.raises((Refused, UnexpectedReply)):
            reading(grant).holdings("512904417" if operation in OF_OPTIONS else JAMES)
        sandbox.clear_faults()


def until_trouble(connector):
    """The pages that came, and what ended them."""
    pages = []
    try:
        for page in connector.transactions(JAMES, since=TODAY - timedelta(days=30), until=TODAY):
            pages.append(page)
    except Refused as trouble:
        return pages, trouble
    return pages, None


def test_a_list_that_fails_is_named_and_covers_no_day_while_the_others_are_read(sign_in, sandbox):
    grant = sign_in()
    whole_pages = recent(reading(grant))
    assert whole_pages[-1].covers_to == TODAY
    for operation, title in LISTS.items():
        sandbox.fault("410", operation, broker="robinhood")
        pages, trouble = until_trouble(reading(grant))
        assert str(trouble).startswith(f"Robinhood's {title}: ")
        assert len(pages) == len(whole_pages) - 2, "all but the one that failed and the one that covers all"
        assert {page.covers_to for page in pages} == {TODAY - timedelta(days=30)}
        sandbox.clear_faults()


def test_rows_that_name_no_account_of_a_person_with_several_are_parked_once(sign_in, monkeypatch):
    """Nothing is booked on a guess: a transfer that names neither account is shown with the first."""
    connector = reading(sign_in())
    [row] = connector._account_rows(Operation.ACCOUNTS)
    connector._listed.append({**row, "account_number": "999999999", "rhs_account_number": "999999999"})
    rows = connector.app.rows

    def nameless(host, path, **asked):
        hide = {"originating_account_id": "a-bank", "receiving_account_id": "a-card"}
        return [{**each, **hide} if "unified" in path else each for each in rows(host, path, **asked)]

    monkeypatch.setattr(AppSession, "rows", lambda self, *where, **asked: nameless(*where, **asked))
    first, second = recent(connector), recent(connector, "999999999")
    strays = [record for record in first[-1].records if isinstance(record, ParkedRecord)]
    assert strays
    assert all("which account" in stray.reason for stray in strays)
    assert second[-1].records == ()
    assert not any(page.records for page in second)


def test_of_a_person_without_coins_the_host_of_coins_is_asked_for_nothing_more(sign_in, sandbox, monkeypatch):
    connector = reading(sign_in())
    rows = connector.app.rows

    get = connector.app.get

    def none_there(self, host, path, **asked):
        return [] if (host, path) == ("nummus", "/accounts/") else rows(host, path, **asked)

    def worth_nothing(self, host, path, **asked):
        return {**get(host, path, **asked), **({"forex_market_value": "0.00"} if path.endswith("/live") else {})}

    monkeypatch.setattr(AppSession, "rows", none_there)
    monkeypatch.setattr(AppSession, "get", worth_nothing)
    assert connector.accounts()[0].aliases == ()
    assert all(each.instrument.symbol != "BTC" for each in connector.holdings(JAMES).positions)
    assert recent(connector)[-1].covers_to == TODAY
    assert [call for call in sandbox.calls() if call["operation"].startswith("crypto_")] == []


@pytest.mark.parametrize("emptied", ["positions", "crypto_accounts", "crypto_holdings"])
def test_a_kind_of_positions_is_not_gone_while_robinhood_tells_what_it_is_worth(sign_in, sandbox, emptied):
    """The others are still listed, so the whole is not empty."""
    grant = sign_in()
    held = {each.instrument.asset_class for each in reading(grant).holdings(JAMES).positions}
    assert {AssetClass.CRYPTO} < held
    sandbox.fault("empty_page", emptied, broker="robinhood")
    with pytest.raises(UnexpectedReply, match="not which they are"):
        reading(grant).holdings(JAMES)


def changed(connector, monkeypatch, where, **change):
    """Rows of the list `where` come with `change`."""
    rows = connector.app.rows

    def told(self, host, path, **asked):
        return [{**each, **change} if path == where else each for each in rows(host, path, **asked)]

    monkeypatch.setattr(AppSession, "rows", told)


def test_a_position_that_names_no_account_of_the_person_is_not_left_out_in_silence(sign_in, monkeypatch):
    connector = reading(sign_in())
    changed(connector, monkeypatch, "/positions/", account_number="999", account=None)
    with pytest.raises(UnexpectedReply, match="positions"):
        connector.holdings(JAMES)


def test_a_share_that_is_listed_no_more_is_still_held_under_its_symbol(sign_in, monkeypatch):
    connector = reading(sign_in())
    gone = "00000000-0000-4000-8000-000000000000"
    changed(connector, monkeypatch, "/positions/", instrument_id=gone)
    assert "VTI" in {each.instrument.symbol for each in connector.holdings(JAMES).positions}


def test_an_average_of_zero_is_replaced_by_what_was_cleared(sign_in, monkeypatch):
    connector = reading(sign_in())
    changed(connector, monkeypatch, "/positions/", average_buy_price="0.0000", clearing_average_cost="12.3400")
    position = next(each for each in connector.holdings(JAMES).positions if each.instrument.symbol == "VTI")
    assert position.average_cost == Decimal("12.34")


@pytest.mark.parametrize("quantity", ["5.00000000", "-5.00000000"])
def test_a_short_position_is_negative_however_it_is_written(sign_in, monkeypatch, quantity):
    connector = reading(sign_in())
    changed(connector, monkeypatch, "/positions/", type="short", quantity=quantity)
    position = next(each for each in connector.holdings(JAMES).positions if each.instrument.symbol == "VTI")
    assert position.quantity == -5
    assert position.market_value is not None
    assert position.market_value < 0


def test_a_share_nobody_quotes_has_no_price(sign_in):
    listing = reading(sign_in()).listing
    assert set(listing.share_prices(["VTI", "NOPE"])) == {"VTI"}
    assert listing.coin_prices(["no-such-pair"]) == {}
