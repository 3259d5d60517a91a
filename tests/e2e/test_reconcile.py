"""Books and broker side by side in a real browser, with and without JavaScript."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from aggregation.ledger import record_holdings
from aggregation.models import Break
from aggregation.reconciliation.comparing import compare
from brokerhub.kernel.models import User
from connections.models import Account
from tests.aggregation.factories import AAPL, BND, a_balance, a_connection, a_position, an_account, some_holdings

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def account(person: User) -> Account:
    """Two positions and money that no transaction explains."""
    account = an_account(a_connection(person))
    held = (a_position(AAPL, "10", average_cost=None), a_position(BND, "7"))
    holdings = some_holdings(*held, balances=(a_balance(cash=Decimal("500.00")),))
    record_holdings(account=account, holdings=holdings, run_id=None)
    compare(account)
    return account


@pytest.mark.parametrize("javascript", [True, False])
def test_a_person_starts_the_books_from_what_the_broker_reports(
    person: User,
    account: Account,
    sign_up: Callable[[User], Client],
    live_server: LiveServer,
    new_page: Callable[..., Page],
    inaccessible: Callable[[Page], list[str]],
    screenshot: Callable[..., Path],
    javascript: bool,
) -> None:
    session = sign_up(person).cookies[settings.SESSION_COOKIE_NAME].value
    page = new_page(base_url=live_server.url, java_script_enabled=javascript)
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    page.goto("/portfolio/reconcile/")
    expect(page.get_by_text("3 differences in 1 of 1 account")).to_be_visible()
    if javascript:
        assert inaccessible(page) == []
        screenshot(page, "reconcile")
    shares = page.locator(".break", has=page.get_by_text("AAPL"))
    shares.get_by_label("Cost per unit, if you know it").fill("91.20")
    shares.get_by_role("button", name="Start from what the broker reports").click()
    expect(page.get_by_text("2 differences in 1 of 1 account")).to_be_visible()
    page.get_by_role("button", name="Book all 2").click()
    expect(page.get_by_text("Everything agrees", exact=True)).to_be_visible()
    page.get_by_role("button", name="Take back").last.click()
    expect(page.get_by_text("1 difference in 1 of 1 account")).to_be_visible()
    assert Break.objects.live().get().instrument is not None
