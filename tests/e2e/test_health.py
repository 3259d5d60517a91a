"""Health in a real browser: in every state it is readable for all, in light and dark, and without JavaScript."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from brokerhub.kernel.models import User
from health.health_monitor import BROKERS
from tests.health.test_widget import much_to_say

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
PAGES = ["/health/", "/health/schwab/", "/health/ibkr/", "/health/alerts/"]
BANNER = "Interactive Brokers is under planned maintenance until"


@pytest.fixture
def enter(live_server: LiveServer, web: Client) -> Callable[[Page], Page]:
    """The browser in which the person has signed in."""

    def by_cookie(page: Page) -> Page:
        value = web.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}])
        return page

    return by_cookie


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_widget_and_the_pages_of_health_are_accessible_in_every_state(
    enter: Callable[[Page], Page],
    person: User,
    new_page: Callable[..., Page],
    live_server: LiveServer,
    inaccessible: Callable[[Page], list[str]],
    screenshot: Callable[..., Any],
    scheme: str,
    width: int,
) -> None:
    much_to_say(person)
    page = enter(new_page(color_scheme=scheme, viewport={"width": width, "height": 844}))
    for path in PAGES:
        page.goto(live_server.url + path)
        expect(page.get_by_text(BANNER)).to_be_visible()
        assert inaccessible(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        screenshot(page, f"{path.strip('/').replace('/', '-')}-{scheme}")


def test_without_javascript_the_widget_tells_each_broker_and_a_banner_can_be_put_away(
    enter: Callable[[Page], Page], person: User, new_page: Callable[..., Page], live_server: LiveServer
) -> None:
    much_to_say(person)
    page = enter(new_page(java_script_enabled=False))
    page.goto(f"{live_server.url}/settings/")
    dock = page.get_by_role("complementary", name="Broker health")
    for broker in BROKERS:
        expect(dock.get_by_role("link", name=broker.label)).to_be_visible()
    expect(dock.get_by_text("Partial outage")).to_be_visible()
    expect(dock.get_by_role("progressbar").first).to_be_visible()
    page.get_by_role("button", name="Put this message about Interactive Brokers away").click()
    expect(page).to_have_url(f"{live_server.url}/settings/")
    expect(page.get_by_text(BANNER)).to_have_count(0)
