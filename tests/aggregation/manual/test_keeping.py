"""Accounts kept by hand: made, filled, corrected and deleted on their pages, beside those of brokers."""

import csv
import io
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from aggregation.account_aggregator import portfolio
from aggregation.ledger import book, record_holdings
from aggregation.models import BookStatus, Position, Source, Transaction
from connections.models import Account, Connection
from tests.aggregation.factories import a_connection, a_position, a_record, a_user, an_account, some_holdings

pytestmark = pytest.mark.django_db

NEW = {"name": "Pension", "institution": "Old Mutual", "currency": "USD", "kind": "cash"}


@pytest.fixture
def user(client):
    user = a_user()
    client.force_login(user)
    return user


@pytest.fixture
def pension(client, user) -> Account:
    client.post("/portfolio/accounts/new/", NEW)
    return Account.objects.get(name="Pension")


def text_of(answer) -> str:
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def page(client, url: str) -> str:
    return text_of(client.get(url))


def hold(client, account, follow=True, **fields):
    said = {
        "symbol": "VTI",
        "asset_class": "etf",
        "name": "Vanguard Total Stock Market",
        "currency": "USD",
        "quantity": "10",
        "price": "250",
        "average_cost": "200",
        "priced_on": timezone.now().date() - timedelta(days=2),
    }
    return client.post(f"/portfolio/accounts/{account.pk}/position/", said | fields, follow=follow)


def write(client, account, **fields):
    said = {
        "kind": "buy",
        "traded_on": timezone.now().date() - timedelta(days=2),
        "symbol": "VTI",
        "asset_class": "etf",
        "quantity": "10",
        "price": "100",
        "fees": "1.50",
        "currency": "USD",
        "follow": "on",
    }
    url = f"/portfolio/accounts/{account.pk}/transaction/"
    return client.post(url, {name: value for name, value in (said | fields).items() if value is not None}, follow=True)


def held(account) -> dict[str, tuple[Decimal, Decimal | None]]:
    rows = Position.objects.held().filter(account=account)
    return {row.instrument.symbol: (row.quantity, row.average_cost) for row in rows}


def cash(account, currency="USD") -> Decimal | None:
    amount: Decimal | None = account.balances.get(currency=currency).cash
    return amount


def test_an_account_made_by_hand_stands_beside_the_brokers_and_says_that_it_is(client, user, pension):
    record_holdings(account=an_account(a_connection(user)), holdings=some_holdings(as_of=timezone.now()), run_id=None)
    assert "Nothing said yet" in page(client, f"/portfolio/accounts/{pension.pk}/")
    hold(client, pension)
    text = page(client, "/portfolio/accounts/")
    assert re.search(r"Pension By hand 0\.00 USD 2,500\.00 USD \+500\.00 USD 2,500\.00 USD", text)
    assert "1 of 1 account as of today" in text
    assert re.search(r"1 kept by hand, the oldest figure said (\d days?|\d+ h) ago", text)
    assert "5,000.00 USD" in text


def test_a_name_is_taken_once(client, user, pension):
    assert "You have an account of that name already." in text_of(client.post("/portfolio/accounts/new/", NEW))
    assert Connection.objects.for_user(user).count() == 1


def test_a_position_is_said_changed_and_closed_and_others_keep_their_day(client, pension):
    hold(client, pension)
    hold(client, pension, symbol="bnd ", price="70", quantity="5", average_cost="", priced_on=timezone.now().date())
    assert held(pension) == {"VTI": (10, 200), "BND": (5, None)}
    vti = Position.objects.get(account=pension, instrument__symbol="VTI")
    assert vti.as_of < timezone.now() - timedelta(hours=20)
    url = f"/portfolio/accounts/{pension.pk}/position/{vti.instrument_id}/"
    assert url in client.get(f"/portfolio/accounts/{pension.pk}/").content.decode()
    assert 'value="250"' in client.get(url).content.decode()
    hold_again = {"symbol": "VTI", "asset_class": "etf", "currency": "USD", "quantity": "12", "price": "260"}
    client.post(url, hold_again | {"priced_on": timezone.now().date()})
    assert held(pension)["VTI"] == (12, None)
    assert pension.balances.get().net_asset_value == 12 * 260 + 5 * 70
    client.post(url, {"close": "yes"})
    assert list(held(pension)) == ["BND"]
    assert Position.objects.get(pk=vti.pk).closed_at is not None


def test_cash_is_said_per_currency_and_may_be_none_again(client, pension):
    url = f"/portfolio/accounts/{pension.pk}/cash/"
    client.post(url, {"currency": "USD", "amount": "120.50"})
    client.post(url, {"currency": "EUR", "amount": "-3"})
    assert (cash(pension), cash(pension, "EUR")) == (Decimal("120.50"), -3)
    client.post(url, {"currency": "EUR", "amount": ""})
    assert [balance.currency for balance in pension.balances.all()] == ["USD"]


def test_transactions_written_down_change_units_cost_and_cash_with_them(client, pension):
    write(client, pension, kind="deposit", amount="5000", symbol="", quantity=None, price=None, fees=None)
    write(client, pension)
    write(client, pension, price="120", fees=None)
    write(client, pension, kind="sell", quantity="5", price="130", fees="2")
    write(client, pension, kind="dividend", amount="7.25", quantity=None, price=None, fees=None)
    write(client, pension, kind="fee", amount="3", symbol="", quantity=None, price=None, fees=None)
    assert held(pension) == {"VTI": (15, Decimal("110.075"))}
    assert cash(pension) == Decimal("5000") - Decimal("1001.50") - 1200 + 648 + Decimal("7.25") - 3
    rows = Transaction.objects.in_books().filter(account=pension)
    assert {row.source for row in rows} == {Source.MANUAL}
    assert sorted(row.net_amount for row in rows) == [-1200, Decimal("-1001.5"), -3, Decimal("7.25"), 648, 5000]
    text = page(client, f"/portfolio/accounts/{pension.pk}/")
    if (timezone.now() - timedelta(days=2)).year == timezone.now().year:
        assert "Dividends and interest +7.25 USD Fees 6.50 USD Taxes 0.00 USD" in text


def test_history_can_be_written_down_without_changing_what_is_held(client, pension):
    hold(client, pension)
    write(client, pension, follow=None)
    assert held(pension) == {"VTI": (10, 200)}


def test_a_row_written_by_hand_can_be_corrected_and_the_old_one_is_kept(client, pension):
    write(client, pension)
    row = Transaction.objects.get(account=pension)
    url = f"/portfolio/transactions/{row.pk}/correct/"
    assert url in client.get(f"/portfolio/transactions/{row.pk}/").content.decode()
    assert 'value="1001.5"' in client.get(url).content.decode()
    said = {"kind": "buy", "traded_on": row.traded_on, "symbol": "VTI", "asset_class": "etf", "quantity": "10"}
    client.post(url, said | {"amount": "990", "currency": "USD"})
    row.refresh_from_db()
    assert row.status == BookStatus.SUPERSEDED
    assert Transaction.objects.in_books().get(account=pension).net_amount == -990
    assert cash(pension) == Decimal("-1001.5")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"symbol": ""}, "Say what was bought or sold."),
        ({"quantity": ""}, "Say how many units."),
        ({"price": ""}, "Give the price, or the amount of money."),
        ({"kind": "deposit", "quantity": ""}, "Say how much money it was."),
        ({"traded_on": "2999-01-01"}, "This day is still to come."),
        ({"quantity": "-1"}, "greater than or equal to 0"),
        ({"currency": "XXX"}, "not one of the available choices"),
        ({"amount": "NaN"}, "Enter a number"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(client, pension, fields, why):
    assert why in text_of(write(client, pension, **fields))
    assert not Transaction.objects.exists()


def test_an_account_is_deleted_after_saying_what_goes_with_it(client, user, pension):
    hold(client, pension)
    write(client, pension)
    url = f"/portfolio/accounts/{pension.pk}/delete/"
    text = page(client, url)
    assert "1 account 1 transaction 1 position 1 balance 1 daily value" in text
    client.post(url)
    assert not Account.objects.exists()
    assert not Transaction.objects.exists()
    assert portfolio(user).accounts == []


@pytest.mark.parametrize("path", ["position/", "cash/", "transaction/", "delete/"])
def test_what_a_broker_says_cannot_be_changed_by_hand(client, user, path):
    account = an_account(a_connection(user))
    record_holdings(account=account, holdings=some_holdings(a_position()), run_id=None)
    answer = client.post(f"/portfolio/accounts/{account.pk}/{path}", {"currency": "USD", "amount": "1"}, follow=True)
    assert "cannot be changed by hand" in text_of(answer)
    assert cash(account) == 500


def test_a_brokers_row_cannot_be_corrected_by_hand(client, user):
    account = an_account(a_connection(user))
    book(account=account, records=[a_record("1")], source=Source.API, run_id=None)
    url = f"/portfolio/transactions/{Transaction.objects.get().pk}/"
    assert "correct/" not in client.get(url).content.decode()
    assert "Only what was written down by hand" in text_of(client.post(f"{url}correct/", {}, follow=True))


def test_an_old_figure_asks_to_be_looked_over(client, pension):
    hold(client, pension, priced_on=timezone.now().date() - timedelta(days=40))
    assert "Look it over" in page(client, "/portfolio/accounts/")


def test_accounts_and_balances_come_as_files(client, pension):
    hold(client, pension)
    client.post(f"/portfolio/accounts/{pension.pk}/cash/", {"currency": "EUR", "amount": "100"})
    content = b"".join(client.get("/portfolio/accounts.csv").streaming_content).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(content))
    assert (row["account"], row["kept"], row["total_value"], row["currency"]) == ("Pension", "hand", "2500", "USD")
    assert row["not_counted"] == "EUR: There is no reference rate for USD."
    content = b"".join(client.get("/portfolio/balances.csv").streaming_content).decode("utf-8-sig")
    rows = {row["currency"]: row for row in csv.DictReader(io.StringIO(content))}
    assert (rows["USD"]["converted"], rows["EUR"]["cash"], rows["EUR"]["converted"]) == ("2500", "100", "")
    assert client.get("/portfolio/balances.json").status_code == 200
