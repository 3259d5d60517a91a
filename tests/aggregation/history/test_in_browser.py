"""The history in a real browser: ten years are drawn, saved as a picture, and everybody can use the page."""

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

from aggregation.models import BalancePoint, PointBasis
from connections.models import Account
from tests.aggregation.factories import a_connection, a_user, an_account

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
NewPage = Callable[..., Page]
TEN_YEARS = 3652
PNG = b"\x89PNG"


@pytest.fixture
def accounts(transactional_db: None) -> list[Account]:
    """Maria's two accounts with ten years of days: the newest said by the broker, the oldest carried, one unknown."""
    connection = a_connection(a_user("maria@example.com"))
    accounts = [an_account(connection), an_account(connection, name="Rollover IRA", mask="8812")]
    today = timezone.localdate()
    BalancePoint.objects.bulk_create(
        BalancePoint(
            account=account,
            on=today - timedelta(days=ago),
            currency="USD",
            cash=Decimal(500),
            net_asset_value=None if ago == 40 else Decimal(1000 + 7 * (TEN_YEARS - ago) + ago % 31),
            flow=Decimal(100) if ago % 30 == 0 else Decimal(0),
            by_class={"equity": "300", "etf": "200"},
            basis=PointBasis.UNKNOWN if ago == 40 else _basis(ago),
            as_of=timezone.now(),
        )
        for account in accounts
        for ago in range(TEN_YEARS)
    )
    return accounts


def _basis(ago: int) -> PointBasis:
    if ago < 30:
        return PointBasis.OBSERVED
    return PointBasis.REBUILT if ago < 3000 else PointBasis.CARRIED


@pytest.fixture
def signed_in(accounts: list[Account], live_server: LiveServer, new_page: NewPage) -> NewPage:
    client = Client()
    client.force_login(accounts[0].connection.user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value

    def make(theme: str = "light", **options: object) -> Page:
        page = new_page(base_url=live_server.url, **options)
        cookies = {settings.SESSION_COOKIE_NAME: session, "theme": theme}
        page.context.add_cookies([{"name": name, "value": cookies[name], "url": live_server.url} for name in cookies])
        return page

    return make


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_ten_years_are_drawn_saved_and_read_by_everybody(
    signed_in: NewPage,
    theme: str,
    width: int,
    screenshot: Callable[..., Path],
    inaccessible: Callable[[Page], list[str]],
):
    page = signed_in(theme, viewport={"width": width, "height": 844})
    page.goto("/portfolio/history/?range=all")
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    assert page.locator(".scatterlayer .trace").count() == 5  # three ways of knowing, what was paid in, events
    with page.expect_download() as download:
        page.get_by_role("button", name="Image").click()
    assert Path(download.value.path()).read_bytes().startswith(PNG)
    for name, url in {
        "value": "/portfolio/history/?range=all",
        "class": "/portfolio/history/?range=all&chart=class",
        "return": "/portfolio/history/?range=5y&chart=return",
        "table": "/portfolio/history/?range=1m&view=table",
    }.items():
        page.goto(url)
        page.wait_for_load_state("networkidle")
        for summary in page.locator("details.card > summary, section details > summary").all():
            summary.click()
        screenshot(page, name)
        assert inaccessible(page) == [], name
        assert page.locator("html").evaluate("page => page.scrollWidth") <= width, f"{name} is too wide"


def test_without_javascript_times_and_tables_still_work(signed_in: NewPage):
    page = signed_in(java_script_enabled=False)
    page.goto("/portfolio/history/")
    page.get_by_role("link", name="Table").click()
    expect(page.locator("tbody tr").first).to_be_visible()
    page.get_by_role("link", name="Older days").click()
    page.get_by_role("link", name="1M", exact=True).click()
    expect(page.get_by_role("link", name="1M", exact=True)).to_have_attribute("aria-current", "true")
