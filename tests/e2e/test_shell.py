"""The frame in a real browser: accessible in light and dark, with the keyboard, on a phone and without JavaScript."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from aggregation.models import Balance, BalancePoint, PointBasis
from brokerhub.kernel.models import User
from connections.brokers.records import AuthMethod, Broker
from connections.models import Account, Connection

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
NewPage = Callable[..., Page]
Inaccessible = Callable[[Page], list[str]]
SIGNED_IN = [
    "/",
    "/settings/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/sessions/",
    "/accounts/logout/",
    "/nowhere",
]
ENTRANCE = ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/nowhere"]
# What htmx does each minute, now.
POLL = "htmx.ajax('GET', '/health/widget', '.dock [hx-get]').catch(() => null)"


@pytest.fixture
def sign_in(live_server: LiveServer, transactional_db: None) -> Callable[[Page], Page]:
    User.objects.create_user("ada@example.com", "correct horse battery", name="Ada")

    def through_the_form(page: Page) -> Page:
        page.goto(f"{live_server.url}/accounts/login/")
        page.get_by_label("Email").fill("ada@example.com")
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        return page

    return through_the_form


@pytest.fixture
def holdings(sign_in: Callable[[Page], Page]) -> Connection:
    """Ada's connection, broken since today, with an account and ten days of history."""
    connection = Connection.objects.create(
        user=User.objects.get(),
        broker=Broker.SCHWAB,
        method=AuthMethod.SCHWAB_OAUTH,
        environment="sandbox",
        label="My Schwab",
        state="needs_reauth",
        reason_code="authorization_expired",
    )
    now = timezone.now()
    account = Account.objects.create(connection=connection, external_id="1", name="Individual", mask="345")
    Balance.objects.create(
        account=account, currency="USD", net_asset_value=Decimal("12345.67"), cash=Decimal("345.67"), as_of=now
    )
    for day in range(10):
        on = now.date() - timedelta(days=day)
        worth = Decimal("12345.67") - 100 * day
        BalancePoint.objects.create(
            account=account, currency="USD", net_asset_value=worth, on=on, basis=PointBasis.OBSERVED, as_of=now
        )
    return connection


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_of_the_frame_is_accessible(
    new_page: NewPage,
    live_server: LiveServer,
    sign_in: Callable[[Page], Page],
    holdings: Connection,
    scheme: str,
    inaccessible: Inaccessible,
) -> None:
    page = sign_in(new_page(color_scheme=scheme))
    for path in SIGNED_IN:
        page.goto(live_server.url + path)
        expect(page.locator(".dock .skeleton")).to_have_count(0)
        assert inaccessible(page) == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_way_in_is_accessible(
    new_page: NewPage, live_server: LiveServer, scheme: str, inaccessible: Inaccessible
) -> None:
    page = new_page(color_scheme=scheme)
    for path in ENTRANCE:
        page.goto(live_server.url + path)
        assert inaccessible(page) == [], path


def test_the_frame_is_accessible_on_a_phone(
    phone: Page,
    live_server: LiveServer,
    sign_in: Callable[[Page], Page],
    holdings: Connection,
    inaccessible: Inaccessible,
) -> None:
    sign_in(phone)
    for path in SIGNED_IN:
        phone.goto(live_server.url + path)
        assert inaccessible(phone) == [], path
        overflow = phone.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow == 0, f"{path} scrolls sideways"


def test_the_overview_draws_its_charts_under_the_security_policy(
    new_page: NewPage, sign_in: Callable[[Page], Page], holdings: Connection, screenshot: Callable[..., Any]
) -> None:
    page = sign_in(new_page())  # the fixture fails the test when the policy blocks anything
    lines = page.locator('[data-chart="history"] .scatterlayer path.js-line')
    expect(lines).to_have_count(2)  # the value, and what was paid in
    expect(lines.first).to_be_visible()
    expect(page.locator('[data-chart="allocation"] .barlayer path').first).to_be_visible()
    screenshot(page, "overview")


def test_changing_the_theme_recolours_the_page_and_its_charts_at_once(
    new_page: NewPage, sign_in: Callable[[Page], Page], holdings: Connection
) -> None:
    page = sign_in(new_page(color_scheme="light"))
    label = page.locator('[data-chart="history"] .xtick text').first
    before = label.evaluate("it => getComputedStyle(it).fill")
    page.locator("summary", has_text="Light or dark").click()
    with page.expect_response("**/preferences/theme"):
        page.get_by_role("button", name="Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(label).not_to_have_css("fill", before)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_amounts_are_hidden_in_text_and_chart(
    new_page: NewPage, sign_in: Callable[[Page], Page], holdings: Connection
) -> None:
    page = sign_in(new_page())
    expect(page.get_by_text("12,345.67").first).to_be_visible()
    page.get_by_role("button", name="Hide amounts").click()
    expect(page.get_by_role("button", name="Show amounts")).to_be_visible()
    expect(page.locator('[data-chart="history"] .xtick').first).to_be_attached()
    expect(page.locator('[data-chart="history"] .ytick')).to_have_count(0)
    expect(page.get_by_text("12,345.67")).to_have_count(0)


def test_the_keyboard_reaches_the_content_first_and_leaves_menus_by_escape(
    new_page: NewPage, sign_in: Callable[[Page], Page]
) -> None:
    page = sign_in(new_page())
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    menu = page.locator("summary", has_text="Your account")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(menu).to_be_focused()


def test_leaving_a_broker_is_confirmed_in_a_dialog(
    new_page: NewPage,
    live_server: LiveServer,
    sign_in: Callable[[Page], Page],
    holdings: Connection,
    inaccessible: Inaccessible,
) -> None:
    page = sign_in(new_page())
    page.goto(f"{live_server.url}/connections/{holdings.pk}/")
    page.get_by_role("link", name="Disconnect").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert inaccessible(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.url.endswith(f"/connections/{holdings.pk}/")


def test_a_page_left_open_after_signing_out_leads_to_the_sign_in_and_back(
    new_page: NewPage, live_server: LiveServer, sign_in: Callable[[Page], Page]
) -> None:
    page = sign_in(new_page())
    page.goto(f"{live_server.url}/settings/")
    page.context.clear_cookies(name="sessionid")
    page.evaluate(POLL)
    expect(page).to_have_url(f"{live_server.url}/accounts/login/?next=%2Fsettings%2F")


def test_a_page_says_when_the_hub_does_not_answer_and_when_it_is_back(
    new_page: NewPage, live_server: LiveServer, sign_in: Callable[[Page], Page]
) -> None:
    page = sign_in(new_page())
    expect(page.get_by_text("Calls of the last hour")).to_be_visible()
    page.context.set_offline(True)
    page.evaluate(POLL)
    expect(page.get_by_text("The hub is not answering.")).to_be_visible()
    page.context.set_offline(False)
    page.evaluate(POLL)
    expect(page.get_by_text("The hub is not answering.")).to_be_hidden()


def test_without_javascript_everything_still_has_its_way(
    new_page: NewPage, live_server: LiveServer, sign_in: Callable[[Page], Page], holdings: Connection
) -> None:
    page = sign_in(new_page(java_script_enabled=False))
    page.locator("summary", has_text="Light or dark").click()
    page.get_by_role("button", name="Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Hide amounts").click()
    expect(page.get_by_text("12,345.67")).to_have_count(0)
    page.goto(f"{live_server.url}/connections/{holdings.pk}/")
    page.get_by_role("link", name="Disconnect").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    page.get_by_role("link", name="How the brokers are doing").click()
    expect(page).to_have_url(re.compile("/health/$"))


def test_a_phone_has_its_places_at_the_bottom(phone: Page, sign_in: Callable[[Page], Page]) -> None:
    sign_in(phone)
    bar = phone.get_by_role("navigation", name="Main")
    box = bar.bounding_box()
    assert box is not None
    assert (box["x"], box["width"], round(box["y"] + box["height"])) == (0, 390, 844)
    bar.get_by_role("link", name="Connections").tap()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Connections")
    expect(bar.get_by_role("link", name="Connections")).to_have_attribute("aria-current", "page")


@pytest.mark.parametrize(
    ("path", "tabs", "here"),
    [
        ("/portfolio/transactions/", "Pages of the portfolio", "Transactions"),
        ("/settings/webhooks/", "Settings", "Webhooks"),
    ],
)
def test_a_phone_shows_the_tab_one_is_on(
    phone: Page,
    live_server: LiveServer,
    sign_in: Callable[[Page], Page],
    holdings: Connection,
    path: str,
    tabs: str,
    here: str,
) -> None:
    sign_in(phone)
    phone.goto(live_server.url + path)
    row = phone.get_by_role("navigation", name=tabs)
    expect(row.get_by_role("link", name=here, exact=True)).to_be_in_viewport(ratio=0.9)
