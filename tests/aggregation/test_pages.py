"""The portfolio's pages, as a browser asks for them."""

import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aggregation.ledger import book, record_holdings
from aggregation.models import Source
from connections.brokers.records import AssetClass, AuthMethod, InstrumentRecord, TransactionKind
from tests.aggregation.factories import (
    AAPL,
    BND,
    CALL,
    a_connection,
    a_position,
    a_record,
    a_user,
    an_account,
    some_holdings,
)
from tests.aggregation.test_undoing import a_run

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def user(client):
    user = a_user()
    client.force_login(user)
    return user


@pytest.fixture
def account(user):
    return an_account(a_connection(user))


def hold(account, *positions):
    record_holdings(account=account, holdings=some_holdings(*positions, as_of=timezone.now()), run_id=None)


def book_api(account, *records):
    return book(account=account, records=records, source=Source.API, run_id=None)


def text_of(response) -> str:
    """What a person reads, words and numbers with single spaces."""
    assert response.status_code == 200
    bare = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", bare)


def page(client, url: str, **headers: str) -> str:
    return text_of(client.get(url, headers=headers))


def test_without_accounts_the_portfolio_says_what_to_do(client, user):
    assert "Connect a broker" in page(client, "/portfolio/")


def test_before_the_first_sync_the_portfolio_says_so(client, account):
    text = page(client, "/portfolio/")
    assert "They appear after the first sync" in text
    assert "0 of 1 account as of today; 1 not reported yet" in text


def test_accounts_kept_by_file_are_not_called_up_to_date(client, user):
    an_account(a_connection(user, method=AuthMethod.FILE))
    page = text_of(client.get("/portfolio/"))
    assert "1 kept by file: its transactions are known, what is held now is not" in page
    assert "No account reports its positions yet" not in page


def test_the_portfolio_shows_holdings_totals_and_cash(client, account):
    hold(account, a_position(), a_position(CALL, "-2", market_value=Decimal("-800")))
    text = page(client, "/portfolio/")
    assert "AAPL 15 Jan 2027 240 Call" in text
    assert "−2 " in text
    assert "2,500.00 USD" in text
    assert "500.00 USD" in text
    assert "1 of 1 account as of today" in text


@pytest.mark.parametrize(("group", "section"), [("class", "Stock"), ("account", "Individual ...4321")])
def test_holdings_can_be_grouped(client, account, group, section):
    hold(account, a_position(), a_position(BND))
    body = client.get(f"/portfolio/?group={group}").content.decode()
    assert re.search(rf'scope="rowgroup">\s*{re.escape(section)}\s*<', body)


def test_a_holding_opens_to_the_accounts_that_hold_it(client, user, account):
    other = an_account(account.connection, name="Rollover IRA")
    hold(account, a_position())
    hold(other, a_position(quantity="5"))
    url = f"/portfolio/holdings/{account.positions.get().instrument_id}/USD/"
    assert url in client.get("/portfolio/").content.decode()
    opened = client.get(url, headers=HTMX).content.decode()
    assert opened.lstrip().startswith("<tbody")
    assert "Rollover IRA" in opened
    number = account.positions.get().instrument_id
    for lead in (f"/portfolio/transactions/?instrument={number}", f"/portfolio/lots/{number}/"):
        assert f'href="{lead}"' in opened
        assert client.get(lead).status_code == 200
    assert "Rollover IRA" not in client.get(f"{url}?closed", headers=HTMX).content.decode()
    assert "<html" in client.get(url).content.decode()


def test_a_hundred_rows_a_load(client, account):
    shares = [InstrumentRecord(asset_class=AssetClass.EQUITY, symbol=f"S{number}") for number in range(130)]
    hold(account, *map(a_position, shares))
    first, rest = (client.get(url).content.decode() for url in ("/portfolio/", "/portfolio/?from=100"))
    assert (first.count('id="holding-'), rest.count('id="holding-')) == (100, 30)
    assert "from=100" in first
    assert "Show more" not in rest


def test_the_account_page_shows_that_account_only(client, account):
    other = an_account(account.connection, name="Rollover IRA")
    hold(account, a_position())
    hold(other, a_position(BND))
    book_api(account, a_record("1"))
    text = page(client, f"/portfolio/accounts/{account.pk}/")
    assert "AAPL" in text
    assert "BND" not in text
    assert "Said by the broker" in text
    assert "−1,802.50 USD" in text


def test_transactions_are_newest_first_and_loaded_in_pages_without_a_gap(client, user, account):
    other = an_account(account.connection)
    days = [date(2026, 1, 1) + timedelta(days=number // 3) for number in range(230)]
    records = [a_record(str(number), traded_on=day, net_amount=Decimal(number)) for number, day in enumerate(days)]
    book_api(account, *records[::2])
    book_api(other, *records[1::2])
    url, seen = "/portfolio/transactions/", []
    while url:
        body = client.get(url, headers=HTMX).content.decode()
        seen += re.findall(r"/portfolio/transactions/(\d+)/", body)
        more = re.search(r'hx-get="\?([^"]*after=[^"]+)"', body)
        url = f"/portfolio/transactions/?{more[1]}" if more else ""
    assert len(seen) == len(set(seen)) == 230
    shown = [account.transactions.model.objects.get(pk=pk).traded_on for pk in seen]
    assert shown == sorted(shown, reverse=True)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("kind=dividend", 1),
        ("since=2026-03-03", 1),
        ("until=2026-03-02", 2),
        ("symbol=bnd", 1),
        ("q=apple", 1),
        ("q=BN", 1),
        ("kind=sell", 0),
    ],
)
def test_transactions_can_be_filtered(client, account, query, count):
    book_api(
        account,
        a_record("1", description="Bought Apple"),
        a_record("2", kind=TransactionKind.DIVIDEND, quantity=None, traded_on=date(2026, 3, 3), description="Paid"),
        a_record("3", instrument=BND, description="Bought bonds"),
    )
    body = client.get(f"/portfolio/transactions/?{query}").content.decode()
    assert len(re.findall(r"/portfolio/transactions/\d+/", body)) == count
    assert ("Nothing matches" in body) == (count == 0)


def test_a_run_leads_to_what_it_brought_and_to_all_it_told(client, account):
    first = a_run(account, a_record("1"), a_record("2", traded_on=date(2026, 3, 3)))
    again = a_run(account, a_record("2", traded_on=date(2026, 3, 3)), a_record("3", traded_on=date(2026, 3, 4)))
    bodies = [
        client.get(f"/portfolio/transactions/?{query}").content.decode()
        for query in (f"run={again.pk}", f"told_by={again.pk}", f"told_by={first.pk}")
    ]
    assert [len(re.findall(r"/portfolio/transactions/\d+/", body)) for body in bodies] == [1, 2, 2]
    assert all(f"/sync/runs/{again.pk}" in body for body in bodies[:2])
    client.force_login(a_user(email="stranger@example.com"))
    assert "Nothing matches" in page(client, f"/portfolio/transactions/?told_by={again.pk}")


def test_transactions_of_one_account(client, account):
    book_api(an_account(account.connection), a_record("1"))
    assert "Nothing matches" in page(client, f"/portfolio/transactions/?account={account.pk}")


@pytest.mark.parametrize("query", ["after=yesterday", "after=2026-01-01_x", "after=2026-01-01"])
def test_a_mangled_place_in_the_list_is_not_found(client, account, query):
    assert client.get(f"/portfolio/transactions/?{query}").status_code == 404


@pytest.mark.parametrize("query", ["run=0", "run=99999999999999999999", "told_by=1e30", "told_by=-1", "instrument=0.5"])
def test_a_number_that_no_row_has_finds_nothing(client, account, query):
    book_api(account, a_record("1"))
    assert "Nothing matches" in page(client, f"/portfolio/transactions/?{query}")


@pytest.mark.parametrize("query", ["since=soon", "account=0", "account=9" * 9, "kind=theft"])
def test_a_filter_that_cannot_be_read_is_explained_and_shows_nothing(client, account, query):
    book_api(account, a_record("1"))
    response = client.get(f"/portfolio/transactions/?{query}")
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert "Bought 10 AAPL" not in response.content.decode()


def test_a_transaction_leads_to_its_raw_row_with_the_account_number_masked(client, account):
    book_api(
        account, a_record("1", raw={"accountNumber": "98764321", "list": [{"primaryAccount": 98764321}], "x": 1.5})
    )
    text = page(client, f"/portfolio/transactions/{account.transactions.get().pk}/")
    assert "98764321" not in text
    assert text.count("…4321") >= 2
    assert "1.5" in text


def test_a_corrected_transaction_shows_both_versions(client, account):
    book_api(account, a_record("1"))
    book_api(account, a_record("1", net_amount=Decimal("-1803.00")))
    new = account.transactions.get(status="posted")
    old = account.transactions.get(status="superseded")
    assert "−1,802.50 USD" in page(client, f"/portfolio/transactions/{new.pk}/")
    text = page(client, f"/portfolio/transactions/{old.pk}/")
    assert "replaced and no longer counts" in text
    assert "−1,803.00 USD" in text
    assert len(re.findall(r"/transactions/\d+/", client.get("/portfolio/transactions/").content.decode())) == 1


def test_hidden_amounts_are_not_in_the_page(client, account):
    hold(account, a_position())
    book_api(account, a_record("1"))
    client.cookies["amounts"] = "hidden"
    for url in ("/portfolio/", "/portfolio/transactions/", f"/portfolio/transactions/{account.transactions.get().pk}/"):
        text = page(client, url)
        assert "2,500" not in text
        assert "1,802.50" not in text
        assert "1802.5" not in text


def test_a_visitor_is_sent_to_sign_in(client):
    response = client.get("/portfolio/")
    assert (response.status_code, response.url) == (302, "/accounts/login/?next=/portfolio/")


def test_a_stranger_finds_nothing(client, account):
    hold(account, a_position())
    book_api(account, a_record("1"))
    client.force_login(a_user())
    urls = [
        f"/portfolio/accounts/{account.pk}/",
        f"/portfolio/holdings/{account.positions.get().instrument_id}/USD/",
        f"/portfolio/transactions/{account.transactions.get().pk}/",
    ]
    assert [client.get(url).status_code for url in urls] == [404, 404, 404]
    for url in ("/portfolio/", "/portfolio/transactions/", f"/portfolio/transactions/?account={account.pk}"):
        assert "AAPL" not in page(client, url)


@pytest.mark.parametrize("url", ["/portfolio/", "/portfolio/?group=account", "/portfolio/transactions/", "account"])
def test_the_number_of_queries_is_the_same_for_one_row_and_fifty(client, account, url):
    url = f"/portfolio/accounts/{account.pk}/" if url == "account" else url
    shares = [replace(AAPL, symbol=f"S{number}", cusip="") for number in range(50)]
    hold(account, a_position())
    book_api(account, a_record("0"))
    client.get(url)  # the session is in the cache from now on
    counted = []
    for records in ([], shares):
        hold(account, a_position(), *map(a_position, records))
        if records:
            book_api(account, *(a_record(share.symbol, instrument=share) for share in records))
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        counted.append(len(queries))
    assert counted[0] == counted[1]
