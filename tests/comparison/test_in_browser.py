"""The comparison in a real browser: everybody can use it, half of it wide by day, half on a phone by night."""

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

from aggregation import ledger
from aggregation.models import Source
from comparison import external_ratings, loading
from connections.models import Account
from tests.aggregation.factories import a_balance, a_connection, a_record, a_user, an_account, some_holdings

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
TWO = "plan=ibkr:lite&plan=schwab:standard"  # more cells of the same kinds would only take longer
WIDE = {
    "prices": f"/compare/?{TWO}",
    "mine": "/compare/mine/",
    "match": "/compare/match/",
    "quality": "/compare/execution-quality/",
    "one-rating": "/compare/ratings/schwab/",
}
NARROW = {
    "features": f"/compare/features/?need=options&{TWO}",
    "profile": "/compare/mine/?mode=profile",
    "lines": "/compare/mine/lines/?plan=robinhood:standard&item=sec_section_31",
    "broker": "/compare/brokers/vanguard/",
    "ratings": "/compare/ratings/",
}


@pytest.fixture
def account(transactional_db: None) -> Account:
    """Maria's account with trades of the last month; beside it her IRA."""
    loading.load()
    external_ratings.load_catalogue()
    connection = a_connection(a_user("maria@example.com"))
    account = an_account(connection)
    an_account(connection, name="Rollover IRA", mask="8812")
    holdings = some_holdings(balances=(a_balance(cash=Decimal(-500)),))
    ledger.record_holdings(account=account, holdings=holdings, run_id=None)
    today = timezone.localdate()
    records = [a_record(str(number), traded_on=today - timedelta(days=number)) for number in range(60)]
    ledger.book(account=account, records=records, source=Source.API, run_id=None)
    return account


@pytest.mark.parametrize(("theme", "width", "pages"), [("light", 1280, WIDE), ("dark", 390, NARROW)])
def test_the_pages_are_accessible_and_fit_the_screen(
    account: Account,
    live_server: LiveServer,
    new_page: Callable[..., Page],
    theme: str,
    width: int,
    pages: dict[str, str],
    screenshot: Callable[..., Path],
    inaccessible: Callable[[Page], list[str]],
):
    client = Client()
    client.force_login(account.connection.user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    page = new_page(base_url=live_server.url, viewport={"width": width, "height": 844})
    cookies = {settings.SESSION_COOKIE_NAME: session, "theme": theme}
    page.context.add_cookies([{"name": name, "value": cookies[name], "url": live_server.url} for name in cookies])
    for name, address in pages.items():
        page.goto(address)
        page.wait_for_load_state("networkidle")
        screenshot(page, name)
        assert inaccessible(page) == [], name
        assert page.locator("html").evaluate("page => page.scrollWidth") <= width, f"{name} is too wide"
    if pages is WIDE:
        _the_dates_are_asked_only_for_a_period_of_ones_own(page)


def _the_dates_are_asked_only_for_a_period_of_ones_own(page: Page) -> None:
    page.goto(WIDE["mine"])
    expect(page.get_by_label("From", exact=True)).to_be_hidden()
    page.get_by_label("Period").select_option("custom")
    page.get_by_label("From", exact=True).fill("2020-01-01")
    page.get_by_label("To", exact=True).fill("2020-01-31")
    expect(page.get_by_text("No trades in this period")).to_be_visible()
