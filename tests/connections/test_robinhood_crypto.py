"""Robinhood's Crypto Trading API: keys the hub makes, calls that are signed, and what its rows mean."""

import base64
import json
import re
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.urls import reverse
from django.utils import timezone

from connections.brokers import robinhood_crypto, robinhood_crypto_rows
from connections.brokers.base import (
    BrokerUnavailable,
    Grant,
    KeysRefused,
    NeedsReauth,
    PreparesKeys,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from connections.brokers.calls import Attribution, Operation
from connections.brokers.records import AssetClass, Broker, InstrumentRecord, ParkedRecord
from connections.brokers.robinhood_crypto import ACCOUNTS, CryptoKeys, RobinhoodCrypto, SignedAuth
from connections.brokers.transport import Reply
from connections.models import Connection
from connections.tokens import FreshGrant

SEED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
API_KEY = "rh-api-00000000-0000-4000-8000-000000000001"
ORDER_BODY = (
    '{"client_order_id":"11111111-1111-4111-8111-111111111111","side":"buy","type":"market","symbol":"BTC-USD",'
    '"market_order_config":{"asset_quantity":"0.001"}}'
)


def grant(seed=SEED, api_key=API_KEY):
    secrets = {"api_key": api_key, "seed": seed}
    return Grant(secrets=secrets, access_expires_at=timezone.now(), authorization_expires_at=None)


def connector(api_key=API_KEY, seed=SEED):
    return RobinhoodCrypto(robinhood_crypto.session(None, FreshGrant(grant(seed, api_key))))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(robinhood_crypto, "THROTTLE_PAUSE", 0.0)


@pytest.fixture
def coins(sandbox):
    """Maria's coins, by a key registered in the sandbox."""
    sandbox.control("robinhood/keys", login="maria", public_key=PUBLIC_KEY, api_key=API_KEY)
    return connector()


# --- Signatures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "signed"),
    [
        (
            "GET",
            "/api/v2/crypto/trading/holdings/?account_number=900000001&limit=50",
            None,
            "4FmncIlN7gEqYa2KhzEZTTs1lJSeIBiboXYI941+QcbQszFCXlSY/9JM30rS/BIEKv/v6NMbgEdxT3kcYGaqCA==",
        ),
        (
            "POST",
            "/api/v1/crypto/trading/orders/",
            ORDER_BODY,
            "zsz0OI7q5HY+aJWmKHmBlR2zL4fhxcWSPmVKo7hvzN0MoSRhbwXi9zGMajLjRWQfnnmM4KCWBYGguKYjqaOXDg==",
        ),
    ],
)
@pytest.mark.parametrize("base", ["https://trading.robinhood.com", "http://127.0.0.1:8900/robinhood/trading"])
def test_the_vectors_are_signed_wherever_the_server_lies(settings, monkeypatch, base, method, path, body, signed):
    settings.BROKERS_SANDBOX_URL = base.removesuffix("/robinhood/trading") if "127.0.0.1" in base else ""
    monkeypatch.setattr(robinhood_crypto, "time", SimpleNamespace(time=lambda: 1_700_000_000.9))
    request = requests.Request(method, base + path, data=body, auth=SignedAuth(grant())).prepare()
    assert request.headers["x-signature"] == signed
    assert request.headers["x-api-key"] == API_KEY
    assert request.headers["x-timestamp"] == "1700000000"
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.fixture
def robinhood_says(settings):
    """`robinhood_says(*answers)`: each (status, JSON) in turn, the last one for good; the list of calls as received."""
    servers = []

    def start(*answers, **headers):
        calls, left = [], list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                calls.append(SimpleNamespace(path=self.path, headers=dict(self.headers)))
                status, body = left.pop(0) if len(left) > 1 else left[0]
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json", "Content-Length": len(content)}).items():
                    self.send_header(name, str(value))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                """Nothing on the console."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        settings.BROKERS_SANDBOX_URL = f"http://127.0.0.1:{server.server_address[1]}"
        return calls

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def check(call, path):
    """Raise InvalidSignature unless this call is signed for `path`."""
    message = f"{call.headers['x-api-key']}{call.headers['x-timestamp']}{path}GET"
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(PUBLIC_KEY))
    key.verify(base64.b64decode(call.headers["x-signature"]), message.encode())


@pytest.mark.parametrize(
    "query", ["?symbol=BTC-USD&symbol=ETH-USD", "?cursor=cD0y%2BMDI%3D&limit=5", "?a=b c&d=é|[", ""]
)
def test_what_is_signed_is_the_path_with_its_query_as_it_was_sent(robinhood_says, query):
    calls = robinhood_says((200, {}))
    connector().http.get(f"{ACCOUNTS}{query}", operation=Operation.ACCOUNTS)
    [call] = calls
    sent = call.path.removeprefix("/robinhood/trading")
    assert sent.startswith(ACCOUNTS)
    assert bool(urlsplit(sent).query) == bool(query)
    check(call, sent)
    if query:
        with pytest.raises(InvalidSignature):
            check(call, ACCOUNTS)


def test_a_retry_is_signed_for_its_own_time(robinhood_says, monkeypatch):
    calls = robinhood_says((500, {"type": "server_error", "errors": []}), (200, {"results": [], "next": None}))
    moments = iter([1_700_000_000, 1_700_000_031])
    monkeypatch.setattr(robinhood_crypto, "time", SimpleNamespace(time=lambda: next(moments)))
    connector().http.get(ACCOUNTS, operation=Operation.ACCOUNTS)
    assert [call.headers["x-timestamp"] for call in calls] == ["1700000000", "1700000031"]
    for call in calls:
        check(call, ACCOUNTS)


def test_neither_key_nor_seed_is_printed():
    shown = repr((connector(), grant(), SignedAuth(grant())))
    assert API_KEY not in shown
    assert SEED not in shown


# --- Keys -------------------------------------------------------------------------------------------------------------


def test_the_hub_makes_a_pair_and_shows_its_public_half_alone(sandbox):
    sign_in = CryptoKeys()
    assert isinstance(sign_in, PreparesKeys)
    kept = sign_in.prepare()
    [shown] = sign_in.shown(kept)
    assert sign_in.prepare() != kept
    assert len(base64.b64decode(shown.value, validate=True)) == 32
    assert kept["seed"] not in (shown.value, shown.help, shown.label)
    api_key = sandbox.control("robinhood/keys", login="james", public_key=shown.value)["api_key"]
    made = sign_in.complete(answer={"api_key": f" {api_key}\n"}, kept=kept, at=timezone.now())
    assert made.secrets == {"api_key": api_key, "seed": kept["seed"]}
    assert made.access_expires_at - timezone.now() > timedelta(days=10_000)
    [truth] = sandbox.truth("james", broker="robinhood")["accounts"]
    assert connector(**made.secrets).identity().broker_user_key == f"crypto:{truth['number']}"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Enter the API key"),
        (PUBLIC_KEY, "This is the public key"),
        ("00000000-0000-4000-8000-000000000001", "begin with rh-api-"),
        (API_KEY[:-1], "not whole"),
        (API_KEY + "a", "not whole"),
        ("rh-api-" + "é" * 36, "not whole"),
    ],
)
def test_a_key_that_cannot_be_right_is_told_with_what_is_wrong(typed, words):
    with pytest.raises(KeysRefused, match=words) as raised:
        CryptoKeys().complete(answer={"api_key": typed}, kept={"seed": SEED}, at=timezone.now())
    assert raised.value.field == "api_key"
    assert typed not in str(raised.value) or not typed


def test_without_its_pair_an_api_key_is_of_no_use():
    with pytest.raises(KeysRefused, match="Open the page again"):
        CryptoKeys().complete(answer={"api_key": API_KEY}, kept={}, at=timezone.now())


def test_keys_are_never_renewed():
    with pytest.raises(NeedsReauth) as raised:
        CryptoKeys().refresh(grant())
    assert raised.value.reason_code == "keys_refused"


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_a_key_that_was_switched_off_needs_the_person(coins, sandbox):
    sandbox.control("robinhood/keys", login="maria", disable=True)
    with pytest.raises(NeedsReauth, match="deleted or switched off") as raised:
        coins.accounts()
    assert raised.value.reason_code == "keys_refused"


def test_another_pair_than_the_keys_own_needs_the_person(coins):
    other = CryptoKeys().prepare()["seed"]
    with pytest.raises(NeedsReauth, match="another public key"):
        connector(seed=other).accounts()


def test_a_timestamp_the_server_finds_stale_needs_the_person(coins, sandbox):
    sandbox.advance(120)
    with pytest.raises(NeedsReauth) as raised:
        coins.accounts()
    assert raised.value.reason_code == "keys_refused"


def test_one_refusal_may_be_throttling_and_is_asked_about_once_more(coins, sandbox):
    sandbox.fault("401", "crypto_api_accounts", broker="robinhood", times=1)
    assert coins.accounts()
    assert [call["status"] for call in sandbox.calls("crypto_api_accounts")] == [401, 200]


def test_two_refusals_are_not_asked_about_any_more(coins, sandbox):
    sandbox.fault("403", "crypto_api_accounts", broker="robinhood")
    with pytest.raises(NeedsReauth):
        coins.accounts()
    assert len(sandbox.calls("crypto_api_accounts")) == 2


def read_all(coins, account_id, day):
    coins.holdings(account_id)
    list(coins.transactions(account_id, since=day, until=day))


@pytest.mark.parametrize(
    ("operation", "words"),
    [("holdings", "which coins you hold"), ("quotes", "prices"), ("orders", "your orders")],
)
def test_a_key_without_one_of_the_actions_is_no_lost_key(coins, sandbox, operation, words):
    [account] = coins.accounts()
    day = date(2026, 11, 2)
    sandbox.fault("403", f"crypto_api_{operation}", broker="robinhood")
    with pytest.raises(Refused, match=words):
        read_all(coins, account.external_id, day)


def test_a_key_switched_off_during_a_run_is_one_for_every_part(coins, sandbox):
    [account] = coins.accounts()
    sandbox.control("robinhood/keys", login="maria", disable=True)
    with pytest.raises(NeedsReauth, match="deleted or switched off"):
        coins.holdings(account.external_id)


def judged(status, body, **headers):
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    _, attribution, error = robinhood_crypto.judge_crypto(Broker.ROBINHOOD, Reply(status, headers, body, data))
    return type(error), attribution


CLIENT_ERROR = '{"type":"client_error","errors":[{"detail":"no","attr":null}]}'


@pytest.mark.parametrize(
    ("status", "body", "error", "attribution"),
    [
        (401, CLIENT_ERROR, NeedsReauth, "credential"),
        (401, "no", NeedsReauth, "credential"),
        (403, CLIENT_ERROR, NeedsReauth, "credential"),
        (403, "<html>", BrokerUnavailable, "broker"),
        (429, CLIENT_ERROR, RateLimited, "ours"),
        (404, CLIENT_ERROR, Refused, "ours"),
        (405, CLIENT_ERROR, Refused, "ours"),
        (406, CLIENT_ERROR, Refused, "ours"),
        (415, CLIENT_ERROR, Refused, "ours"),
        (400, '{"type":"validation_error","errors":[{"detail":"no","attr":"limit"}]}', Refused, "ours"),
        (400, '{"type":"validation_error","errors":"no"}', Refused, "ours"),
        (400, '{"errors":[{"detail":"no","attr":"symbol"}]}', robinhood_crypto.NotQuoted, "none"),
        (500, '{"type":"server_error","errors":[]}', BrokerUnavailable, "broker"),
        (503, "down", BrokerUnavailable, "broker"),
    ],
)
def test_each_refusal_is_blamed_on_the_right_one(status, body, error, attribution):
    assert judged(status, body) == (error, Attribution(attribution))


@pytest.mark.parametrize(("seconds", "error"), [(5, NeedsReauth), (-45, BrokerUnavailable), (45, BrokerUnavailable)])
def test_a_clock_that_is_off_is_the_hubs_to_mend_and_costs_nobody_their_keys(seconds, error):
    said = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    assert judged(401, CLIENT_ERROR, Date=said)[0] is error


def test_a_limit_is_waited_for_as_long_as_was_asked(coins, sandbox):
    sandbox.fault("429", "crypto_api_holdings", broker="robinhood", retry_after=77)
    [account] = coins.accounts()
    with pytest.raises(RateLimited) as raised:
        coins.holdings(account.external_id)
    assert raised.value.retry_at is not None
    assert timedelta(seconds=70) < raised.value.retry_at - timezone.now() <= timedelta(seconds=77)


# --- Rows -------------------------------------------------------------------------------------------------------------


def order(**changes):
    fill = {"effective_price": "41600.00", "quantity": "0.010000000000000000", "timestamp": "2026-01-04T14:00:01.5Z"}
    row = {
        "id": "an-order",
        "account_number": "1",
        "symbol": "BTC-USD",
        "side": "buy",
        "type": "limit",
        "state": "filled",
        "average_price": "41600.00",
        "filled_asset_quantity": "0.010000000000000000",
        "fee_charged": "2.50",
        "executions": [fill],
        "created_at": "2026-01-04T14:00:00Z",
    }
    return row | changes


def read(**changes):
    return list(robinhood_crypto_rows.orders([order(**changes)]))


def test_a_purchase_costs_its_price_and_its_fee():
    [row] = read()
    assert (row.external_id, row.kind, row.traded_on) == ("cryptoapi:an-order", "buy", date(2026, 1, 4))
    assert row.instrument == InstrumentRecord(asset_class=AssetClass.CRYPTO, symbol="BTC")
    assert (row.quantity, row.price) == (Decimal("0.01"), Decimal(41600))
    assert (row.gross_amount, row.fees, row.net_amount) == (Decimal("-416.00"), Decimal("2.50"), Decimal("-418.50"))


def test_a_sale_brings_its_price_less_its_fee():
    [row] = read(side="sell")
    assert (row.quantity, row.net_amount) == (Decimal("-0.01"), Decimal("413.50"))


@pytest.mark.parametrize("changes", [{"fee_charged": None}, {"fee_charged": 0}])
def test_without_a_fee_the_cost_lay_within_the_price(changes):
    [row] = read(**changes)
    assert (row.fees, row.net_amount) == (0, Decimal("-416.00"))


def test_the_trade_date_is_that_of_the_last_execution_in_new_york():
    late = {"effective_price": 42000, "quantity": Decimal("0.02"), "timestamp": "2026-01-06T04:30:00Z"}
    [row] = read(executions=[late, *order()["executions"]], filled_asset_quantity=Decimal("0.03"))
    assert (row.traded_on, row.occurred_at) == (date(2026, 1, 5), datetime(2026, 1, 6, 4, 30, tzinfo=UTC))
    assert (row.quantity, row.gross_amount) == (Decimal("0.03"), Decimal("-1256.00"))
    assert row.price == Decimal("41866.6666666667")


@pytest.mark.parametrize("state", ["partially_filled", "canceled", "open", "pending"])
def test_what_was_executed_counts_whatever_became_of_the_rest(state):
    [row] = read(state=state)
    assert (row.quantity, row.status) == (Decimal("0.01"), "posted")


@pytest.mark.parametrize("state", ["open", "canceled", "failed", "pending"])
@pytest.mark.parametrize("nothing", ["0.000000000000000000", 0, None])
def test_an_order_without_executions_moves_nothing(state, nothing):
    assert read(state=state, filled_asset_quantity=nothing, executions=[], average_price=None) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "a_word_of_tomorrow"}, "unknown state"),
        ({"state": "failed"}, "executed, although"),
        ({"side": "stake"}, "unknown side"),
        ({"filled_asset_quantity": "0.02"}, "do not add up"),
    ],
)
def test_an_order_no_rule_understands_is_parked_whole(changes, reason):
    [parked] = read(**changes)
    assert isinstance(parked, ParkedRecord)
    assert parked.external_id == "cryptoapi:an-order"
    assert reason in parked.reason
    assert parked.raw == order(**changes)


# --- Data -------------------------------------------------------------------------------------------------------------


def listed(*rows, following=None):
    return 200, {"next": following, "previous": None, "results": list(rows)}


ACCOUNT = {"account_number": "1", "status": "active", "buying_power": "12.34", "buying_power_currency": "USD"}


def held(code, quantity="2.0"):
    return {"account_number": "1", "asset_code": code, "total_quantity": quantity}


def test_pages_are_followed_by_their_cursor_alone(robinhood_says):
    elsewhere = "https://evil.example/api/v2/crypto/trading/accounts/?cursor=cD0yMA%3D%3D"
    calls = robinhood_says(listed(ACCOUNT, following=elsewhere), listed(ACCOUNT, ACCOUNT | {"account_number": 200}))
    found = connector().accounts()
    assert [account.external_id for account in found] == ["1", "200"], "one told twice is one"
    assert parse_qs(urlsplit(calls[1].path).query) == {"cursor": ["cD0yMA=="]}
    assert connector().identity().broker_user_key == "crypto:1"


@pytest.mark.parametrize(
    "following", ["https://trading.robinhood.com/x/?cursor=abc", "https://trading.robinhood.com/x/"]
)
def test_a_list_without_an_end_is_no_list(robinhood_says, following):
    robinhood_says(listed(ACCOUNT, following=following))
    with pytest.raises(UnexpectedReply):
        connector().accounts()


@pytest.mark.parametrize(
    "body", [{}, [], {"results": None, "next": 5}, {"results": [{"number": 1}]}, {"results": [{"account_number": {}}]}]
)
def test_an_answer_of_another_form_is_never_an_empty_list(robinhood_says, body):
    robinhood_says((200, body))
    with pytest.raises(UnexpectedReply):
        connector().accounts()


def test_an_account_is_known_by_its_number_with_and_without_letters(robinhood_says):
    robinhood_says(listed(ACCOUNT | {"account_number": "RHC1234567"}))
    [account] = connector().accounts()
    assert (account.external_id, account.aliases, account.number_mask) == ("RHC1234567", ("1234567",), "4567")


def test_a_key_without_accounts_is_nobodys(robinhood_says):
    robinhood_says(listed())
    with pytest.raises(UnexpectedReply, match="whose key"):
        connector().identity()


def test_a_coin_nobody_quotes_has_no_price_and_costs_the_others_none(robinhood_says):
    refusal = 400, {"type": "validation_error", "errors": [{"detail": "Malformed symbol parameter", "attr": "symbol"}]}
    quote = {"symbol": "BTC-USD", "bid": 100.5, "ask": "101.5"}
    calls = robinhood_says(
        listed(ACCOUNT), listed(held("BTC"), held("OLD")), refusal, (200, {"results": [quote]}), refusal
    )
    found = connector().holdings("1")
    assert parse_qs(urlsplit(calls[2].path).query) == {"symbol": ["BTC-USD", "OLD-USD"]}
    prices = {position.instrument.symbol: (position.price, position.market_value) for position in found.positions}
    assert prices == {"BTC": (Decimal("101.00"), Decimal("202.00")), "OLD": (None, None)}
    assert found.balances[0].market_value is None


@pytest.mark.parametrize("quotes", [[], [{"symbol": "BTC-USD", "price": "1"}]])
def test_prices_that_are_missing_are_never_read_as_unknown_ones(robinhood_says, quotes):
    robinhood_says(listed(ACCOUNT), listed(held("BTC")), (200, {"results": quotes}))
    with pytest.raises(UnexpectedReply):
        connector().holdings("1")


def test_what_one_can_buy_for_is_not_cash_and_the_worth_is_that_of_the_coins(robinhood_says):
    quotes = 200, {"results": [{"symbol": "BTC-USD", "bid": "10", "ask": "12"}]}
    robinhood_says(listed(ACCOUNT), listed(held("BTC"), held("BTC"), held("ETH", "0.0")), quotes)
    found = connector().holdings("1")
    [position], [balance] = found.positions, found.balances
    assert (position.quantity, position.average_cost) == (Decimal(2), None)
    assert (balance.buying_power, balance.market_value) == (Decimal("12.34"), Decimal(22))
    assert (balance.cash, balance.net_asset_value) == (None, Decimal(22))


def test_without_coins_no_price_is_asked_for(robinhood_says):
    calls = robinhood_says(listed(ACCOUNT), listed())
    assert connector().holdings("1").positions == ()
    assert len(calls) == 2


def test_rows_of_another_account_are_never_taken_for_this_one(robinhood_says):
    robinhood_says(listed(ACCOUNT, ACCOUNT | {"account_number": "2"}), listed(held("BTC")))
    with pytest.raises(UnexpectedReply):
        connector().holdings("2")


def test_an_account_that_is_not_listed_any_more_is_refused(robinhood_says):
    robinhood_says(listed(ACCOUNT))
    with pytest.raises(Refused, match="does not list this account"):
        connector().holdings("3")


def test_history_is_read_year_by_year_and_begins_with_orders_that_may_have_waited(robinhood_says):
    calls = robinhood_says(listed(order()))
    pages = list(connector().transactions("1", since=date(2024, 7, 1), until=date(2026, 1, 5)))
    assert [(page.covers_from, page.covers_to) for page in pages] == [
        (date(2024, 7, 1), date(2025, 6, 30)),
        (date(2025, 7, 1), date(2026, 1, 5)),
    ]
    assert [(page.number, page.window_count) for page in pages] == [(1, 2), (2, 2)]
    asked = [parse_qs(urlsplit(call.path).query) for call in calls]
    assert [query["created_at_start"] for query in asked] == [["2024-04-02T04:00:00Z"], ["2025-07-01T04:00:00Z"]]
    assert [query["created_at_end"] for query in asked] == [["2025-07-01T04:00:00Z"], ["2026-01-06T05:00:00Z"]]
    assert asked[0]["account_number"] == ["1"]


# --- By the pages -----------------------------------------------------------------------------------------------------


def test_a_person_brings_the_public_key_to_robinhood_and_the_api_key_back(web, person, sandbox):
    begun = web.post(reverse("connections:new"), {"method": "robinhood_crypto"})
    connection = Connection.objects.get(user=person)
    assert begun.url == reverse("connections:keys", args=[connection.pk])
    page = web.get(begun.url).content.decode()
    [public_key] = re.findall(r'value="([A-Za-z0-9+/]{43}=)"', page)
    assert "actions that read" in page
    assert "rh-api-" in page
    wrong = web.post(begun.url, {"api_key": public_key}).content.decode()
    assert "This is the public key" in wrong
    assert public_key in wrong, "the pair stays the same over a mistyped answer"
    given = sandbox.control("robinhood/keys", login="maria", public_key=public_key)["api_key"]
    assert web.post(begun.url, {"api_key": given}).status_code == 302
    connection.refresh_from_db()
    assert (connection.state, connection.broker_user_key) == ("connected", "crypto:512904417")
    assert given not in web.get(reverse("connections:detail", args=[connection.pk])).content.decode()
