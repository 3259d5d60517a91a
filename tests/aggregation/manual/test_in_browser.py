"""An account kept by hand in a real browser: made, filled, corrected and deleted, by everybody, on a phone as well."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from aggregation.models import Position
from connections.models import Account
from tests.aggregation.factories import a_user

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
NewPage = Callable[..., Page]


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_an_account_is_kept_by_hand(
    live_server: LiveServer,
    new_page: NewPage,
    theme: str,
    width: int,
    screenshot: Callable[..., Path],
    inaccessible: Callable[[Page], list[str]],
) -> None:
    client = Client()
    client.force_login(a_user("maria@example.com"))
    page = new_page(base_url=live_server.url, viewport={"width": width, "height": 844})
    cookies = {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value, "theme": theme}
    page.context.add_cookies([{"name": name, "value": cookies[name], "url": live_server.url} for name in cookies])

    def look(name: str) -> None:
        page.wait_for_load_state("networkidle")
        screenshot(page, name)
        assert inaccessible(page) == [], name
        assert page.locator("html").evaluate("page => page.scrollWidth") <= width, f"{name} is too wide"

    page.goto("/portfolio/accounts/")
    page.get_by_role("link", name="Account by hand").first.click()
    look("new")
    page.get_by_role("textbox", name="Name").fill("Pension")
    page.get_by_role("button", name="Add the account").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Pension")
    expect(page.get_by_role("link", name="Write one down")).to_be_visible()
    look("empty-account")

    page.get_by_role("link", name="Position", exact=True).click()
    look("position")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("textbox", name="Symbol")).to_be_focused()  # what is missing is where one goes on
    page.get_by_role("textbox", name="Symbol").fill("VTI")
    page.get_by_role("spinbutton", name="Units").fill("10")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The position is saved.")).to_be_visible()
    assert Position.objects.held().get().price is None  # nobody said one

    page.get_by_role("link", name="Cash", exact=True).click()
    look("cash")
    page.get_by_role("spinbutton", name="Cash").fill("1250.50")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main")).to_contain_text("1,250.50")

    page.get_by_role("link", name="Transaction", exact=True).click()
    look("transaction")
    page.get_by_role("link", name="Cancel").click()
    look("account")
    page.get_by_role("main").get_by_role("link", name="Delete").first.click()
    look("remove")
    page.get_by_role("button", name="Delete").first.click()
    expect(page.get_by_text("are deleted")).to_be_visible()
    assert not Account.objects.exists()
