"""Gains, income and open lots in a real browser: charts draw, lists load on, lots open in place, all can use it."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from aggregation.ledger import book, record_holdings
from aggregation.models import Source
from connections.brokers.records import TransactionKind as Kind
from connections.models import Account
from tests.aggregation.factories import a_connection, a_position, a_user, an_account, some_holdings
from tests.aggregation.lots.test_reading import KO, told

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
NewPage = Callable[..., Page]


@pytest.fixture
def account(transactional_db: None) -> Account:
    """300 shares bought, 120 sold one by one, dividends in between; one sale of which nobody knows the cost."""
    account = an_account(a_connection(a_user("maria@example.com")))
    start = date(2023, 1, 2)
    rows = [told(Kind.BUY, start.isoformat(), 300, -3000)]
    for day in range(120):
        rows.append(told(Kind.SELL, (start + timedelta(days=7 * day + 7)).isoformat(), -1, 9 + day % 5))
        rows.append(told(Kind.DIVIDEND, (start + timedelta(days=7 * day + 9)).isoformat(), None, 3))
    rows.append(told(Kind.TRANSFER_IN, "2025-07-01", 5, 0))
    book(account=account, records=rows, source=Source.API, run_id=None)
    record_holdings(account=account, holdings=some_holdings(a_position(KO, "185")), run_id=None)
    return account


@pytest.fixture
def signed_in(account: Account, live_server: LiveServer, new_page: NewPage) -> NewPage:
    client = Client()
    client.force_login(account.connection.user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value

    def make(theme: str = "light", **options: object) -> Page:
        page = new_page(base_url=live_server.url, **options)
        cookies = {settings.SESSION_COOKIE_NAME: session, "theme": theme}
        page.context.add_cookies([{"name": name, "value": cookies[name], "url": live_server.url} for name in cookies])
        return page

    return make


def test_lots_load_on_and_open_beside_what_is_held(signed_in: NewPage, account: Account):
    page = signed_in()
    page.goto("/portfolio/gains/?year=2023")
    page.get_by_role("link", name="All years").click()
    sold = page.get_by_role("table", name="Lots sold").locator("tbody tr")
    expect(sold).to_have_count(101)
    page.get_by_role("link", name="Load more").click()
    expect(sold).to_have_count(120)
    held = account.positions.get()
    page.goto(f"/portfolio/holdings/{held.instrument_id}/USD/")
    expect(page.get_by_role("table", name="Open lots").locator("tbody tr")).to_have_count(2)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_the_pages_are_accessible_and_fit_the_screen(
    signed_in: NewPage,
    account: Account,
    theme: str,
    width: int,
    screenshot: Callable[..., Path],
    inaccessible: Callable[[Page], list[str]],
):
    sale = account.transactions.filter(kind=Kind.SELL).latest("pk")
    urls = {
        "gains": "/portfolio/gains/?method=specific&currency=EUR",
        "income": "/portfolio/income/",
        "lots": f"/portfolio/lots/{sale.instrument_id}/",
        "pick": f"/portfolio/gains/{sale.pk}/lots/",
        "actions": "/portfolio/actions/",
        "action": "/portfolio/actions/new/",
    }
    page = signed_in(theme, viewport={"width": width, "height": 844})
    for name, url in urls.items():
        page.goto(url)
        page.wait_for_load_state("networkidle")
        screenshot(page, name)
        assert inaccessible(page) == [], name
        assert page.locator("html").evaluate("page => page.scrollWidth") <= width, f"{name} is too wide"
