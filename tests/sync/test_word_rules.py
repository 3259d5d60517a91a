"""What a person says once about a word that the hub does not know."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.brokers.records import Broker, ParkedRecord, TransactionKind
from connections.models import Account
from sync import word_rules
from sync.models import ParkedRow, RunState, SyncRun, Trigger, WordRule
from sync.parking import park
from tests.aggregation.factories import a_connection, an_account

RULES = "/api/v1/brokerage/parked/rules"


@pytest.fixture
def account(person: User) -> Account:
    return an_account(a_connection(person))


def a_row(name: str, **raw: Any) -> ParkedRecord:
    told = {"activityId": name, "type": "ADR_FEE", "tradeDate": "2021-03-09T05:00:00+0000", "netAmount": -1.25} | raw
    return ParkedRecord(external_id=name, reason="unknown type 'ADR_FEE'", raw=told)


def wait_for_a_rule(account: Account, *rows: ParkedRecord) -> SyncRun:
    run = SyncRun.objects.create(
        connection=account.connection, trigger=Trigger.MANUAL, mode="initial", state=RunState.SUCCEEDED
    )
    park(run=run, account=account, parked=rows)
    return run


def test_a_word_said_once_books_all_rows_with_it_however_old(
    account: Account, person: User, sign_up: Callable[[User], Client]
) -> None:
    units = [{"instrument": {"assetType": "EQUITY", "symbol": "NOK"}, "amount": 3.0}]
    run = wait_for_a_rule(
        account, a_row("1"), a_row("2", netAmount=-3), a_row("3", transferItems=units), a_row("4", type="X")
    )
    row, web = ParkedRow.objects.get(external_id="1"), sign_up(person)
    page = web.get(f"/sync/parked/{row.pk}/").content.decode()
    assert "9 Mar 2021" in page
    said = web.post(f"/sync/parked/{row.pk}/", {"field": "type", "kind": "fee"}, follow=True).content.decode()
    assert "2 rows booked. 1 still wait: It moves units" in said
    booked = Transaction.objects.order_by("external_id")
    assert [(one.kind, one.traded_on, one.net_amount, one.run_id) for one in booked] == [
        ("fee", date(2021, 3, 9), Decimal("-1.25"), run.pk),
        ("fee", date(2021, 3, 9), Decimal(-3), run.pk),
    ]
    assert {one.external_id for one in ParkedRow.objects.waiting()} == {"3", "4"}
    assert "Treated as" in said


def test_new_rows_with_the_word_are_booked_as_they_come_and_once(account: Account, person: User) -> None:
    wait_for_a_rule(account, a_row("1"))
    word_rules.remember(person, ParkedRow.objects.get(), field="type", kind=TransactionKind.FEE)
    rules = word_rules.rules_for(account)
    records, left = word_rules.understood(account, [a_row("1"), a_row("9"), a_row("8", type="X")], rules)
    assert ([one.external_id for one in records], [one.external_id for one in left]) == (["1", "9"], ["8"])
    assert word_rules.apply(rules[0]).booked == 0
    assert Transaction.objects.count() == 1


def test_equal_rows_without_an_id_that_waited_are_booked_as_many_as_they_are(account: Account, person: User) -> None:
    nameless = replace(a_row("1"), external_id="")
    run = wait_for_a_rule(account, nameless, nameless, nameless)
    first = ParkedRow.objects.first()
    assert first is not None
    _, applied = word_rules.remember(person, first, field="type", kind=TransactionKind.FEE)
    assert applied.booked == 3
    assert Transaction.objects.in_books().filter(run=run, net_amount=Decimal("-1.25")).count() == 3
    assert not ParkedRow.objects.waiting().exists()


def test_the_amount_of_a_broker_that_prints_no_sign_goes_the_way_of_the_kind() -> None:
    row = ParkedRecord(
        external_id="1",
        reason="",
        raw={"type": "gold", "created_at": "2026-03-02T01:00:00Z", "amount": {"amount": "5"}},
    )
    fee = word_rules.reading(Broker.ROBINHOOD, row, TransactionKind.FEE)
    assert (fee.net_amount, fee.traded_on) == (-5, date(2026, 3, 1))
    assert word_rules.reading(Broker.ROBINHOOD, row, TransactionKind.INTEREST).net_amount == 5
    with pytest.raises(word_rules.NotReadable, match="which way"):
        word_rules.reading(Broker.ROBINHOOD, row, TransactionKind.OTHER)


@pytest.mark.parametrize("told", ["20240607", "20240607;202500", "2024-06-07;20:25:00"])
def test_the_day_of_a_flex_query_is_the_one_it_prints(told: str) -> None:
    raw = {"type": "Fee", "dateTime": told, "amount": "-1.25", "currency": "USD"}
    row = ParkedRecord(external_id="1", reason="", raw=raw)
    assert word_rules.reading(Broker.IBKR, row, TransactionKind.FEE).traded_on == date(2024, 6, 7)


@pytest.mark.parametrize(
    "raw",
    [{"netAmount": None}, {"tradeDate": "soon"}, {"netAmount": "NaN"}, {"currency": 1}],
    ids=lambda raw: next(iter(raw)),
)
def test_a_row_that_does_not_say_when_or_how_much_stays(raw: dict[str, Any]) -> None:
    with pytest.raises(word_rules.NotReadable):
        word_rules.reading(Broker.SCHWAB, a_row("1", **raw), TransactionKind.FEE)


def test_programs_make_list_and_forget_rules_of_their_own(
    account: Account, person: User, stranger: User, token_client: Callable[..., APIClient]
) -> None:
    wait_for_a_rule(account, a_row("1"))
    own, other = token_client(person), token_client(stranger)
    row = ParkedRow.objects.get()
    wish = {"row": row.pk, "field": "type", "kind": "fee"}
    assert other.post(RULES, wish).status_code == 400
    assert own.post(RULES, wish | {"field": "activityId"}).json()["errors"][0]["code"] == "row_not_readable"
    made = own.post(RULES, wish)
    assert (made.status_code, made.json()["booked"]) == (201, 1)
    rule = made.json()["rule"]
    assert [one["word"] for one in own.get(RULES).json()["results"]] == ["ADR_FEE"]
    assert other.get(RULES).json()["results"] == []
    assert other.delete(f"{RULES}/{rule['id']}").status_code == 404
    assert own.delete(f"{RULES}/{rule['id']}").status_code == 204
    assert Transaction.objects.count() == 1
    assert not WordRule.objects.exists()
