"""Alpaca: the sign-in by the pages, what its refusals mean, and what the hub makes of each shape of row."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from connections import connection_manager
from connections.brokers import alpaca
from connections.brokers.base import (
    AppCredentialsRefused,
    BrokerUnavailable,
    NeedsReauth,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from connections.brokers.records import AssetClass, Broker, ParkedRecord, RecordStatus, TransactionKind
from connections.brokers.transport import BrokerSession, Reply, Wire
from connections.errors import DifferentLogin
from connections.models import Connection
from connections.tokens import FreshGrant
from tests.connections.conftest import some_grant, whole

NEW, LIST = reverse("connections:new"), reverse("connections:list")
FILL = {
    "id": "20250610103107000::9e6f9c0e-3b8f-5d0a-8f62-0d2a1f5c7b11",
    "activity_type": "FILL",
    "type": "fill",
    "transaction_time": "2025-06-10T14:31:07.123456Z",
    "price": "62.10",
    "qty": "3.5",
    "side": "buy",
    "symbol": "KO",
    "order_id": "o-1",
}


# --- By the pages -----------------------------------------------------------------------------------------------------


def begin(web):
    """The broker's address the hub sends this browser to."""
    answer = web.post(NEW, {"method": "alpaca_oauth"}, HTTP_HX_REQUEST="true")
    assert answer.status_code == 200
    return answer["HX-Redirect"]


def land(web, address):
    parts = urlsplit(address)
    assert parts.path == "/connections/callback/alpaca"
    return web.get(f"{parts.path}?{parts.query}")


def test_a_person_connects_by_the_pages_for_good(web, person, sandbox):
    shown = web.get(NEW).content.decode()
    assert "asks for no right to trade" in shown
    asked = parse_qs(urlsplit(begin(web)).query)
    assert (asked["env"], asked["response_type"]) == (["live"], ["code"])
    assert "scope" not in asked
    assert land(web, sandbox.sign_in(begin(web), "james")).status_code == 302
    connection = Connection.objects.get(user=person)
    assert (connection.broker, connection.state) == (Broker.ALPACA, "connected")
    assert connection.authorization_expires_at is None
    assert connection.access_expires_at is not None
    assert connection.access_expires_at > timezone.now() + timedelta(days=30_000)
    [truth] = sandbox.truth("james", broker="alpaca")["accounts"]
    [account] = connection.accounts.all()
    assert (account.external_id, account.mask[-4:]) == (truth["hash"], truth["number"][-4:])
    assert "Alpaca" in web.get(LIST).content.decode()


def test_declining_stores_nothing(web, person, sandbox):
    answer = land(web, sandbox.sign_in(begin(web), "james", deny=True))
    assert answer.status_code == 400
    connection = Connection.objects.get(user=person)
    assert (connection.reason_code, connection.sealed_credentials) == ("consent_denied", b"")


def test_a_stale_code_says_to_sign_in_once_more(web, person, sandbox):
    back = sandbox.sign_in(begin(web), "james")
    sandbox.advance(700)
    assert "sign in once more" in land(web, back).content.decode()
    assert Connection.objects.get(user=person).state == "pending_auth"


def test_a_wrong_secret_is_for_an_administrator(sandbox):
    sign_in = alpaca.AlpacaSignIn(settings.ALPACA_CLIENT_ID, "guess", settings.ALPACA_CALLBACK_URL)
    landed = sandbox.sign_in(sign_in.begin(state="s").url, "james")
    answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
    with pytest.raises(AppCredentialsRefused, match="administrator"):
        sign_in.complete(answer=answer, kept={}, at=timezone.now())
    assert "guess" not in repr(sign_in)


def test_without_an_app_of_its_own_the_hub_says_what_is_missing(web, person, sandbox, settings):
    settings.ALPACA_CLIENT_ID = ""
    answer = web.post(NEW, {"method": "alpaca_oauth"}, HTTP_HX_REQUEST="true")
    assert "ALPACA_CLIENT_ID" in answer.content.decode()


def test_signing_in_again_is_the_same_connection(connect_alpaca, person):
    first = connect_alpaca(person)
    assert connect_alpaca(person).pk == first.pk


def test_another_account_is_another_login_and_is_refused_in_its_place(connect_alpaca, person, sandbox):
    connection = connect_alpaca(person)
    second = sandbox.control("accounts", login="james", broker="alpaca", open={})[1]["number"]
    landed = sandbox.sign_in(connection_manager.start_oauth(connection=connection), "james", [second])
    answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
    with pytest.raises(DifferentLogin, match=rf"{second[-4:]}"):
        connection_manager.complete_oauth(user=person, answer=answer)


def test_access_taken_back_at_alpaca_asks_for_a_new_sign_in(connect_alpaca, person, sandbox):
    connection = connect_alpaca(person)
    sandbox.end_tokens("james", revoke=True, broker="alpaca")
    with pytest.raises(NeedsReauth, match="no longer accepts") as refused:
        connection_manager.connector_for(connection).accounts()
    assert refused.value.reason_code == "refresh_refused"


def test_a_token_for_another_account_books_nothing_on_this_one(connect_alpaca, person):
    connector = connection_manager.connector_for(connect_alpaca(person))
    with pytest.raises(Refused, match="does not open this account"):
        connector.holdings("0c8fd4a1-0000-4000-8000-000000000000")


def test_the_hub_only_reads(connect_alpaca, person, sandbox):
    connector = connection_manager.connector_for(connect_alpaca(person))
    [account] = connector.accounts()
    connector.holdings(account.external_id)
    list(connector.transactions(account.external_id, since=date(2026, 1, 1), until=date(2026, 2, 1)))
    methods = {
        call["method"] for call in sandbox.calls() if call["operation"] in ("account", "positions", "activities")
    }
    assert methods == {"GET"}


# --- Refusals ---------------------------------------------------------------------------------------------------------


def reply(status, data, **headers):
    return Reply(status, headers, str(data), data)


def test_a_limit_ends_when_its_own_header_says_so():
    ends = int((timezone.now() + timedelta(seconds=40)).timestamp())
    _, _, error = alpaca.judge_data(Broker.ALPACA, reply(429, {}, **{"X-RateLimit-Reset": str(ends)}))
    assert isinstance(error, RateLimited)
    assert error.retry_at == datetime.fromtimestamp(ends, UTC)
    _, _, error = alpaca.judge_data(Broker.ALPACA, reply(429, {}, **{"X-RateLimit-Reset": "99999999999"}))
    assert isinstance(error, RateLimited)
    assert error.retry_at is not None
    assert error.retry_at < timezone.now() + timedelta(minutes=6)
    _, _, error = alpaca.judge_data(Broker.ALPACA, reply(429, {}, **{"Retry-After": "7", "X-RateLimit-Reset": "soon"}))
    assert isinstance(error, RateLimited)
    assert error.retry_at is not None
    assert timedelta(0) < error.retry_at - timezone.now() <= timedelta(seconds=7)


def test_403_is_a_lost_sign_in_only_when_the_code_says_so():
    _, _, error = alpaca.judge_data(Broker.ALPACA, reply(403, {"code": 40110000, "message": "forbidden"}))
    assert isinstance(error, NeedsReauth)
    _, _, error = alpaca.judge_data(Broker.ALPACA, reply(403, {"code": 40310000, "message": "forbidden"}))
    assert isinstance(error, Refused)


def test_a_page_in_place_of_a_token_is_an_outage():
    _, _, error = alpaca.judge_token(Broker.ALPACA, Reply(401, {}, "<html>", None))
    assert isinstance(error, NeedsReauth | BrokerUnavailable)
    _, _, error = alpaca.judge_token(Broker.ALPACA, Reply(503, {}, "<html>", None))
    assert isinstance(error, BrokerUnavailable)


@pytest.mark.parametrize("answer", [b"{}", b"[]", b'{"id": "not-a-uuid"}', b'{"id": null}'])
@pytest.mark.django_db
def test_an_account_without_a_name_is_nobodys(answering, answer):
    address = answering(whole(answer, b"Content-Type: application/json\r\n"))
    session = BrokerSession(wire=Wire(broker=Broker.ALPACA), base_url=address, grants=FreshGrant(some_grant()))
    with pytest.raises(UnexpectedReply, match="does not know"):
        alpaca.Alpaca(session).identity()


@pytest.mark.parametrize("number", [[], {}, ["123456789"], 123456789, None, ""], ids=str)
@pytest.mark.django_db
def test_an_account_number_is_text_or_the_account_is_not_understood(answering, number):
    """It is shown by its last four characters, and another way of the same login is recognised by it."""
    account = {"id": "9e6f9c0e-3b8f-5d0a-8f62-0d2a1f5c7b11", "account_number": number, "currency": "USD"}
    answer = json.dumps(account | {"status": "ACTIVE", "multiplier": "1"}).encode()
    address = answering(whole(answer, b"Content-Type: application/json\r\n"))
    session = BrokerSession(wire=Wire(broker=Broker.ALPACA), base_url=address, grants=FreshGrant(some_grant()))
    with pytest.raises(UnexpectedReply, match="does not know"):
        alpaca.Alpaca(session).accounts()


@pytest.mark.django_db
def test_a_list_that_begins_anew_for_ever_is_given_up(answering, monkeypatch):
    monkeypatch.setattr(alpaca, "PAGE_SIZE", 1)
    address = answering(whole(json.dumps([FILL]).encode(), b"Content-Type: application/json\r\n"))
    session = BrokerSession(wire=Wire(broker=Broker.ALPACA), base_url=address, grants=FreshGrant(some_grant()))
    with pytest.raises(UnexpectedReply, match="does not come to an end"):
        list(alpaca.Alpaca(session).transactions("any", since=date(2025, 6, 1), until=date(2025, 6, 30)))


# --- What rows mean ---------------------------------------------------------------------------------------------------


def activity(kind, net="0", **more):
    return {"id": "20250610000000000::1", "activity_type": kind, "date": "2025-06-10", "net_amount": net, **more}


def read(*rows):
    return list(alpaca.transactions(rows))


def test_an_execution_is_quantity_times_price_on_new_yorks_date():
    late = {**FILL, "transaction_time": "2025-06-11T01:30:00Z", "side": "sell"}
    bought, sold = read(FILL, {**late, "id": "20250610213000000::2"})
    assert (bought.kind, bought.quantity, bought.price, bought.net_amount) == (
        "buy",
        D("3.5"),
        D("62.10"),
        D("-217.35"),
    )
    assert (bought.traded_on, bought.settled_on) == (date(2025, 6, 10), date(2025, 6, 11))
    assert (sold.kind, sold.quantity, sold.net_amount) == ("sell", D("-3.5"), D("217.35"))
    assert sold.traded_on == date(2025, 6, 10)
    assert sold.fees == 0


def test_what_is_sold_without_having_it_says_so():
    [row] = read({**FILL, "side": "sell_short"})
    assert (row.kind, row.subtype) == (TransactionKind.SELL, "short")


def test_an_option_is_named_in_osi_form_and_counts_a_hundred():
    [row] = read({**FILL, "symbol": "AAPL230721C00150000", "qty": "2", "price": "1.25"})
    assert (row.instrument.symbol, row.instrument.underlying) == ("AAPL  230721C00150000", "AAPL")
    assert (row.instrument.asset_class, row.net_amount) == (AssetClass.OPTION, D("-250.00"))


@pytest.mark.parametrize("symbol", ["BTC/USD", "BTCUSD"])
def test_a_coin_is_one_coin_however_it_is_written(symbol):
    [row] = read({**FILL, "symbol": symbol, "qty": "0.000617284", "price": "64800"})
    assert (row.instrument.asset_class, row.instrument.symbol) == (AssetClass.CRYPTO, "BTC")
    assert (row.net_amount, row.settled_on) == (D("-40.00"), None)


def test_a_share_of_five_letters_is_no_coin():
    [row] = read({**FILL, "symbol": "GOOGL"})
    assert row.instrument.asset_class == AssetClass.EQUITY


@pytest.mark.parametrize(
    ("row", "kind", "net", "quantity"),
    [
        (activity("CSD", "9000"), "deposit", "9000", None),
        (activity("CSW", "-120.50"), "withdrawal", "-120.50", None),
        (activity("DIV", "2.40", symbol="KO", qty="5", per_share_amount="0.48"), "dividend", "2.40", None),
        (activity("DIV", "-2.40", symbol="KO"), "dividend", "-2.40", None),
        (activity("DIVNRA", "-0.36", symbol="KO"), "tax", "-0.36", None),
        (activity("INT", "0.11"), "interest", "0.11", None),
        (activity("INT", "-3.01"), "interest", "-3.01", None),
        (activity("FEE", "-0.02", symbol=None), "fee", "-0.02", None),
        (activity("CFEE", "0", symbol="BTCUSD", qty="-0.000195", price="1884.5"), "fee", "0", "-0.000195"),
        (activity("CFEE", "-0.42", symbol="ETHUSD"), "fee", "-0.42", None),
        (activity("JNLC", "25"), "transfer_in", "25", None),
        (activity("JNLC", "-25"), "transfer_out", "-25", None),
        (activity("ACATS", symbol="AAPL", qty="4", price="157.44"), "transfer_in", "0", "4"),
        (activity("JNLS", symbol="AAPL", qty="-4"), "transfer_out", "0", "-4"),
        (activity("SPLIT", symbol="NVDA", qty="-3"), "split", "0", "-3"),
        (activity("SPLIT", symbol="NVDA", qty="30"), "split", "0", "30"),
        (activity("OPEXC", symbol="AAPL230721C00150000", qty="-2"), "option_exercise", "0", "-2"),
        (activity("OPASN", symbol="AAPL230721C00150000", qty="2"), "option_assignment", "0", "2"),
        (activity("OPEXP", symbol="AAPL230721C00150000", qty="1"), "option_expiration", "0", "1"),
        (activity("OPTRD", "-30000", symbol="AAPL", qty="200", price="150"), "buy", "-30000", "200"),
        (activity("OPTRD", "30000", symbol="AAPL", qty="-200", price="150"), "sell", "30000", "-200"),
        (activity("MA", "0.03", symbol="OLD"), "corporate_action", "0.03", None),
        (activity("NC", symbol="OLD", qty="-7"), "corporate_action", "0", "-7"),
    ],
    ids=lambda value: value["activity_type"] if isinstance(value, dict) else None,
)
def test_each_type_has_its_kind_its_sign_and_its_quantity(row, kind, net, quantity):
    [record] = read(row)
    assert (record.kind, record.net_amount) == (kind, D(net))
    assert record.quantity == (quantity and D(quantity))
    assert (record.traded_on, record.status) == (date(2025, 6, 10), RecordStatus.POSTED)


def test_what_was_cancelled_is_told_as_void():
    [record] = read(activity("DIV", "2.40", symbol="KO", status="canceled"))
    assert record.status is RecordStatus.VOID


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (activity("XYZ", "1"), "unknown type 'XYZ'"),
        (activity("DIV", "1", symbol="KO", status="correct"), "status 'correct'"),
        ({**FILL, "side": "give"}, "'give'"),
        ({**FILL, "type": "trade_bust"}, "'trade_bust'"),
        ({**FILL, "symbol": "ETH/BTC"}, "not paid for in dollars"),
        ({**FILL, "symbol": "AAPL1230721C00150000"}, "adjusted"),
        (activity("ACATS", symbol="AAPL"), "what moves is not told"),
        (activity("ACATS", qty="4"), "what moves is not told"),
        (activity("DIV", "0", symbol="SBS", qty="0.0027"), "what moves is not told"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_no_rule_understands_is_parked_with_the_reason(row, reason):
    [parked] = read(row)
    assert isinstance(parked, ParkedRecord)
    assert reason in parked.reason
    assert (parked.external_id, parked.raw) == (row["id"], row)


@pytest.mark.parametrize(
    "broken",
    [{"qty": "much"}, {"qty": None}, {"price": True}, {"transaction_time": "yesterday"}, {"qty": "NaN"}, {"id": "1"}]
    + [{name: odd} for name in ("id", "order_id") for odd in (["x"], {"a": "b"}, 7)],
    ids=str,
)
def test_a_field_of_another_shape_is_for_us_to_mend(broken):
    row = {**FILL, **broken}
    if broken == {"id": "1"}:
        del row["id"]
    with pytest.raises(UnexpectedReply, match="does not know"):
        read(row)


def test_a_row_told_twice_in_one_answer_counts_once():
    assert len(read(FILL, FILL)) == 1
