"""The portfolio in a real browser: rows open, lists load on, charts draw, and everybody can use it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from aggregation import edits
from aggregation.ledger import book, record_holdings
from aggregation.models import BalancePoint, PointBasis, Source
from connections.models import Account
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

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
NewPage = Callable[..., Page]


@pytest.fixture
def account(transactional_db: None) -> Account:
    """Maria's account: holdings, a month of values, and 150 transactions; beside it her IRA."""
    maria = a_user("maria@example.com")
    connection = a_connection(maria)
    account = an_account(connection)
    call = a_position(CALL, "-2", average_cost=None, market_value=Decimal(-800))
    positions = (a_position(), a_position(BND), call)
    record_holdings(account=account, holdings=some_holdings(*positions, as_of=timezone.now()), run_id=None)
    ira = an_account(connection, name="Rollover IRA", mask="8812")
    record_holdings(account=ira, holdings=some_holdings(a_position(AAPL, "4")), run_id=None)
    today = timezone.localdate()
    records = [a_record(str(number), traded_on=today - timedelta(days=number)) for number in range(150)]
    book(account=account, records=records, source=Source.API, run_id=None)
    BalancePoint.objects.bulk_create(
        BalancePoint(
            account=account,
            on=today - timedelta(days=days),
            currency="USD",
            net_asset_value=Decimal(2500 - days),
            basis=PointBasis.REBUILT,
            as_of=timezone.now(),
        )
        for days in range(2, 30)
    )
    return account


@pytest.fixture
def signed_in(account: Account, live_server: LiveServer, new_page: NewPage) -> NewPage:
    """Makes pages on which Maria is signed in; addresses may be written without the server's."""
    client = Client()
    client.force_login(account.connection.user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value

    def make(theme: str = "light", **options: object) -> Page:
        page = new_page(base_url=live_server.url, **options)
        cookies = {settings.SESSION_COOKIE_NAME: session, "theme": theme}
        page.context.add_cookies([{"name": name, "value": cookies[name], "url": live_server.url} for name in cookies])
        return page

    return make


def test_a_holding_opens_and_closes_in_its_place(signed_in: NewPage, screenshot: Callable[..., Path]):
    page = signed_in()
    page.goto("/portfolio/")
    lots = page.get_by_role("row").filter(has_text="Rollover IRA").filter(has_text="800.00")
    expect(lots).to_have_count(0)
    page.get_by_role("link", name="AAPL", exact=True).click()
    expect(lots).to_have_count(1)
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    screenshot(page, "open")
    page.get_by_role("link", name="AAPL", exact=True).click()
    expect(lots).to_have_count(0)
    assert page.url.endswith("/portfolio/")


def test_on_a_phone_positions_are_sorted_too(signed_in: NewPage):
    page = signed_in(viewport={"width": 390, "height": 844})
    page.goto("/portfolio/")
    names = page.locator("#positions tbody th")
    page.get_by_role("link", name="Instrument", exact=True).click()
    expect(page.get_by_role("columnheader", name="Instrument")).to_have_attribute("aria-sort", "ascending")
    ascending = [text.split()[0] for text in names.all_inner_texts()]
    assert ascending == sorted(ascending, key=str.casefold)
    page.get_by_role("link", name="Instrument", exact=True).click()
    expect(page.get_by_role("columnheader", name="Instrument")).to_have_attribute("aria-sort", "descending")
    assert [text.split()[0] for text in names.all_inner_texts()] == ascending[::-1]


def test_without_javascript_a_holding_is_a_page_and_the_list_goes_on(signed_in: NewPage, account: Account):
    page = signed_in(java_script_enabled=False)
    page.goto("/portfolio/")
    page.get_by_role("link", name="AAPL", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("AAPL")
    expect(page.get_by_role("link", name="Rollover IRA")).to_be_visible()
    page.goto("/portfolio/transactions/")
    page.get_by_role("link", name="Load more").click()
    expect(page.locator("tbody tr")).to_have_count(50)


def test_more_transactions_are_added_below(signed_in: NewPage):
    page = signed_in()
    page.goto("/portfolio/transactions/")
    expect(page.locator("tbody tr")).to_have_count(101)
    page.get_by_role("link", name="Load more").click()
    expect(page.locator("tbody tr")).to_have_count(150)
    expect(page.get_by_role("link", name="Load more")).to_have_count(0)


def test_a_file_is_what_the_filters_leave(signed_in: NewPage):
    page = signed_in()
    page.goto("/portfolio/transactions/")
    page.get_by_label("From").fill((timezone.localdate() - timedelta(days=9)).isoformat())
    page.get_by_role("button", name="Show").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Transactions as CSV").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 11


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_the_pages_are_accessible_and_fit_the_screen(
    signed_in: NewPage,
    account: Account,
    theme: str,
    width: int,
    screenshot: Callable[..., Path],
    inaccessible: Callable[[Page], list[str]],
):
    transaction, excluded, tagged = account.transactions.order_by("-pk")[:3]
    edits.exclude(excluded, user=account.connection.user)
    edits.annotate(tagged, user=account.connection.user, note="for the house", tags=["house", "gift"])
    urls = {
        "portfolio": "/portfolio/?group=class",
        "account": f"/portfolio/accounts/{account.pk}/",
        "transactions": f"/portfolio/transactions/?since={timezone.localdate() - timedelta(days=9)}",
        "transaction": f"/portfolio/transactions/{transaction.pk}/",
        "split": f"/portfolio/transactions/{transaction.pk}/split",
        "tagged": "/portfolio/transactions/?tag=house",
        "edited": f"/portfolio/transactions/{tagged.pk}/",
        "excluded": "/portfolio/transactions/excluded/",
        "left-out": f"/portfolio/transactions/{excluded.pk}/",
    }
    page = signed_in(theme, viewport={"width": width, "height": 844})
    for name, url in urls.items():
        page.goto(url)
        page.wait_for_load_state("networkidle")
        screenshot(page, name)
        assert inaccessible(page) == [], name
        assert page.locator("html").evaluate("page => page.scrollWidth") <= width, f"{name} is too wide"
