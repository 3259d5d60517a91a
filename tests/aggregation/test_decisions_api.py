"""What a person may decide on pages, a program may decide by API: corporate actions, lots of a sale, what is one thing.

One journey each, as a program would go it, with what is refused on the way.
"""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from aggregation.ledger import book, record_holdings
from aggregation.models import CorporateAction, Instrument, InstrumentChoice, LotPick, Source, Transaction
from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind
from connections.models import Account
from tests.aggregation.factories import AAPL, BND, a_connection, a_position, a_record, an_account, some_holdings

pytestmark = pytest.mark.django_db
EARLY, LATE, SOLD_ON = date(2025, 1, 6), date(2025, 6, 2), date(2026, 3, 2)


@pytest.fixture
def api(token_client, caller):
    return token_client(caller)


@pytest.fixture
def account(caller) -> Account:
    """Ten AAPL of January at 100, ten of June at 150, twelve sold at 200 in March."""
    account = an_account(a_connection(caller))
    trades = [
        a_record("1", traded_on=EARLY, net_amount=Decimal(-1000), gross_amount=None, price=Decimal(100)),
        a_record("2", traded_on=LATE, net_amount=Decimal(-1500), gross_amount=None, price=Decimal(150)),
        a_record("3", traded_on=SOLD_ON, kind=TransactionKind.SELL, quantity=Decimal(-12), net_amount=Decimal(2400),
                 gross_amount=None, price=Decimal(200)),
    ]  # fmt: skip
    book(account=account, records=trades, source=Source.API, run_id=None)
    return account


def sent(api: Any, method: str, path: str, status: int, **body: Any) -> Any:
    answer = getattr(api, method)(f"/api/v1/brokers/{path}", body or None, content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json() if answer.content else None


def test_a_split_is_looked_at_entered_and_taken_back(api, account):
    aapl = Instrument.objects.get(symbol="AAPL")
    wish = {"kind": "split", "instrument": aapl.pk, "on": "2025-09-01", "new": "2"}
    (effect,) = sent(api, "post", "corporate-actions/preview", 200, **wish)
    assert (effect["units"], effect["told"]) == ("20", False)
    assert [(move["symbol"], move["units"]) for move in effect["moves"]] == [("AAPL", "20")]
    assert not CorporateAction.objects.exists()
    made = sent(api, "post", "corporate-actions", 201, **wish)
    assert (made["new"], made["old"], made["undone_at"]) == ("2", "1", None)
    (booked,) = made["accounts"]
    assert Transaction.objects.get(pk=booked["booked"][0]).quantity == 20
    assert sent(api, "get", "corporate-actions", 200)["results"] == [made]
    assert sent(api, "post", "corporate-actions", 409, **wish)["code"] == "conflict"
    undone = sent(api, "post", f"corporate-actions/{made['id']}/undo", 200)
    assert undone["undone_at"] is not None
    assert not Transaction.objects.in_books().filter(kind=TransactionKind.SPLIT).exists()


def test_a_spin_off_takes_its_share_of_the_cost_as_a_part_of_one(api, account):
    aapl = Instrument.objects.get(symbol="AAPL")
    wish = {"kind": "spin_off", "instrument": aapl.pk, "on": "2025-09-01", "new": "1", "cost_share": "0.125"}
    refused = sent(api, "post", "corporate-actions", 400, **wish)
    assert refused["attr"] == "received_symbol"
    made = sent(api, "post", "corporate-actions", 201, received_symbol="NEWCO", **wish)
    assert (made["cost_share"], made["received"]["symbol"]) == ("0.125", "NEWCO")


def test_another_persons_holding_cannot_be_split(api, account, token_client):
    stranger = an_account(a_connection())
    book(account=stranger, records=[a_record("x", instrument=BND)], source=Source.API, run_id=None)
    theirs = Instrument.objects.get(symbol="BND")
    refused = sent(api, "post", "corporate-actions", 400, kind="split", instrument=theirs.pk, on="2026-03-03", new="2")
    assert refused["attr"] == "instrument"


def test_the_lots_of_a_sale_are_named_listed_and_taken_back(api, account):
    first, second, sale = Transaction.objects.order_by("external_id")
    lots = sent(api, "get", f"gains/{sale.pk}/lots", 200)
    assert [(lot["lot_id"], lot["quantity"], lot["taken"]) for lot in lots] == [
        (first.pk, "10", "10"), (second.pk, "10", "2"),
    ]  # fmt: skip
    named = {"picks": [{"lot_id": second.pk, "quantity": "10"}]}
    lots = sent(api, "put", f"gains/{sale.pk}/lots", 200, **named)
    assert [(lot["picked"], lot["taken"]) for lot in lots] == [(None, "2"), ("10", "10")]
    (kept,) = sent(api, "get", "lots/picks", 200)["results"]
    assert (kept["sale_id"], kept["lot_id"], kept["quantity"]) == (sale.pk, second.pk, "10")
    gains = api.get("/api/v1/brokers/gains?method=specific").json()
    assert sum(Decimal(each["gain"]) for each in gains["results"]) == Decimal(700)
    too_many = {"picks": [{"lot_id": second.pk, "quantity": "11"}]}
    assert sent(api, "put", f"gains/{sale.pk}/lots", 409, **too_many)["code"] == "conflict"
    twice = {"picks": [{"lot_id": second.pk, "quantity": "1"}] * 2}
    assert sent(api, "put", f"gains/{sale.pk}/lots", 400, **twice)["attr"] == "picks"
    sent(api, "put", f"gains/{sale.pk}/lots", 200, picks=[])
    assert not LotPick.objects.exists()


def test_two_instruments_become_one_and_two_again(api, account):
    odd = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="APPL.X", name="Apple Incorporated")
    held = some_holdings(a_position(AAPL), a_position(odd))
    record_holdings(account=account, holdings=held, run_id=None)
    one, other = (Instrument.objects.get(symbol=symbol) for symbol in ("AAPL", "APPL.X"))
    assert sent(api, "get", "instruments", 200) == {"joined": [], "alike": []}
    wish = {"decision": "same", "instrument": one.pk, "other": other.pk}
    made = sent(api, "post", "instruments/choices", 201, **wish)
    assert made["decision"] == "same"
    ((group,),) = (sent(api, "get", "instruments", 200)["joined"],)
    assert {row["id"] for row in group["instruments"]} == {one.pk, other.pk}
    assert sent(api, "get", "instruments/choices", 200)["results"] == [made]
    sent(api, "delete", f"instruments/choices/{made['id']}", 204)
    assert not InstrumentChoice.objects.exists()
    apart = sent(api, "post", "instruments/choices", 201, decision="account", instrument=one.pk, account=account.pk)
    assert (apart["decision"], apart["account"]["id"]) == ("account", account.pk)


def test_what_cannot_be_one_is_refused_and_what_is_missing_is_named(api, account):
    aapl = Instrument.objects.get(symbol="AAPL")
    assert sent(api, "post", "instruments/choices", 400, decision="same", instrument=aapl.pk)["attr"] == "other"
    same = {"decision": "same", "instrument": aapl.pk, "other": aapl.pk}
    assert sent(api, "post", "instruments/choices", 409, **same)["code"] == "conflict"
    stranger = Instrument.objects.create(key="security:SPY:USD", symbol="SPY", asset_class="etf", currency="USD")
    sent(api, "post", "instruments/choices", 404, decision="same", instrument=aapl.pk, other=stranger.pk)
