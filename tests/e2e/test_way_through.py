"""From signing in to the portfolio, in a real browser against the whole running hub."""

import re

import pytest
from playwright.sync_api import Page, expect

from brokerhub import demo
from brokerhub.embedded_servers import wait_until
from tests.plugins.running_hub import RunningHub

pytestmark = pytest.mark.e2e
PATIENCE = 60_000  # milliseconds, for a whole first sync
SECRET_SHAPES = re.compile(r"I0\.[\w-]{20}|C0\.[\w-]{20}|[\w-]{100,}9QA@|sandboxsecret001")


def enter(page: Page, hub: RunningHub, email: str, password: str) -> None:
    page.goto(f"{hub.url}/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def sign_up(page: Page, hub: RunningHub, email: str) -> None:
    page.goto(f"{hub.url}/accounts/signup/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill("correct horse battery")
    page.get_by_label("Password (again)").fill("correct horse battery")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome")


def go_to_schwab(page: Page, login: str) -> None:
    page.get_by_role("link", name="Connections").first.click()
    page.get_by_role("link", name="Connect a broker").first.click()
    page.get_by_role("button", name="Continue to Charles Schwab").click()
    page.get_by_label("Login ID").fill(login)
    page.get_by_label("Password").fill("sandbox")
    page.get_by_role("button", name="Sign in").click()


def test_the_demo_is_alive_on_the_first_page(page: Page, running_hub: RunningHub, screenshot) -> None:
    enter(page, running_hub, demo.EMAIL, demo.PASSWORD)
    expect(page.get_by_role("main")).to_contain_text("Individual")
    expect(page.get_by_role("main")).to_contain_text("Rollover IRA")
    expect(page.get_by_role("complementary")).to_contain_text("Operational")
    screenshot(page, "overview")


def test_a_second_login_is_connected_watched_and_seen(page: Page, running_hub: RunningHub, screenshot) -> None:
    enter(page, running_hub, demo.EMAIL, demo.PASSWORD)
    go_to_schwab(page, "james")
    screenshot(page, "consent")
    page.get_by_role("button", name="Allow access").click()
    expect(page.get_by_role("status").first).to_contain_text("is connected")
    screenshot(page, "connected")
    page.get_by_role("link", name="Sync").first.click()
    screenshot(page, "progress")
    expect(page.get_by_role("row").filter(has_text="After connecting").first).to_contain_text(
        "Succeeded", timeout=PATIENCE
    )
    expect(page.get_by_role("progressbar", name=re.compile("Transactions"))).to_have_count(0)
    screenshot(page, "synced")
    page.get_by_role("link", name="Portfolio").first.click()
    expect(page.get_by_role("main")).to_contain_text("3 of 3 accounts as of today")
    screenshot(page, "portfolio")


def test_declining_says_what_to_do(phone: Page, running_hub: RunningHub, screenshot) -> None:
    sign_up(phone, running_hub, "hesitant@example.com")
    go_to_schwab(phone, "james")
    phone.get_by_role("button", name="Cancel").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("You declined access")
    screenshot(phone, "declined")
    phone.get_by_role("link", name="Back to your connections").click()
    expect(phone.get_by_role("main")).to_contain_text("Access was declined")
    expect(phone.get_by_role("button", name="Try again")).to_be_visible()


PAGES = [
    "/",
    "/connections/",
    "/connections/new/",
    "/portfolio/",
    "/portfolio/transactions/",
    "/sync/",
    "/health/",
    "/health/schwab/",
    "/health/alerts/",
]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_of_a_full_portfolio_is_accessible_and_fits(
    new_page, running_hub: RunningHub, inaccessible, screenshot, scheme: str, width: int
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 844})
    enter(page, running_hub, demo.EMAIL, demo.PASSWORD)
    for path in PAGES:
        page.goto(running_hub.url + path)
        expect(page.locator(".dock .skeleton")).to_have_count(0)
        assert inaccessible(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        screenshot(page, f"{path.strip('/').replace('/', '-') or 'overview'}-{scheme}")


def test_the_log_of_the_whole_hub_holds_no_secret(page: Page, running_hub: RunningHub) -> None:
    sign_up(page, running_hub, "logged@example.com")
    go_to_schwab(page, "james")
    page.get_by_role("button", name="Allow access").click()
    expect(page.get_by_role("status").first).to_contain_text("is connected")
    assert wait_until(lambda: any("broker_call" in line for line in running_hub.log), 30), "the processes do log"
    assert SECRET_SHAPES.findall("".join(running_hub.log)) == []
