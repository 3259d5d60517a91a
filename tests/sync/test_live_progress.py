"""The sync page in a real browser: it follows a run by itself, stops asking when it is over, and shows what came."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from brokerhub.kernel.models import User
from connections.brokers.records import ParkedRecord
from sync import sync_service, tasks
from sync.models import RunState, SyncRun, Trigger
from sync.parking import park
from tests.aggregation.factories import a_connection, an_account
from tests.sync.samples import fixture

pytestmark = pytest.mark.e2e
Screenshot = Callable[..., Path]


@pytest.fixture
def open_page(live_server: LiveServer, person: User, sign_up: Callable[[User], Client]) -> Callable[..., Page]:
    def show(page: Page, address: str) -> Page:
        cookie = sign_up(person).cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        page.goto(live_server.url + address)
        return page

    return show


def test_a_run_is_followed_to_its_end_without_a_reload(
    page: Page, open_page: Callable[..., Page], person: User, screenshot: Screenshot
) -> None:
    connection = a_connection(person, label="Schwab of Ada")
    run = sync_service.request_sync(user=person, connection=connection, trigger=Trigger.MANUAL)
    open_page(page, "/sync/")
    card = page.locator("article", has_text="Schwab of Ada")
    expect(card).to_contain_text("Waiting for its turn")
    SyncRun.objects.filter(pk=run.pk).update(
        state=RunState.RUNNING,
        step="Transactions of Individual ...345: window 3 of 6",
        done=3,
        total=12,
        fetched=812,
        inserted=812,
        started_at=timezone.now() - timedelta(seconds=12),
    )
    expect(card).to_contain_text("Transactions of Individual ...345: window 3 of 6")
    expect(card.locator("progress")).to_have_attribute("value", "3")
    screenshot(page, "running")
    SyncRun.objects.filter(pk=run.pk).update(
        state=RunState.SUCCEEDED, step="", fetched=1640, inserted=1640, finished_at=timezone.now()
    )
    expect(card).to_have_count(0)
    expect(page.locator("#runs")).to_contain_text("1,640 new transactions")
    expect(page.locator("#sync-progress[hx-trigger]")).to_have_count(0)  # nothing is left that would ask again


def test_the_pages_of_an_import_hold_on_a_phone_too(
    phone: Page, open_page: Callable[..., Page], person: User, screenshot: Screenshot
) -> None:
    account = an_account(a_connection(person))
    content = fixture("schwab-brokerage-odd-rows.csv")
    run = sync_service.request_import(user=person, account=account, name="odd.csv", content=content)
    open_page(phone, f"/sync/runs/{run.pk}/")
    expect(phone.locator("main")).to_contain_text("Waiting for its turn")
    tasks.import_file(run.pk)
    expect(phone.locator("main")).to_contain_text("5 rows read = 2 new + 0 already known + 0 corrected + 3 parked")
    screenshot(phone, "run")
    park(run=run, account=account, parked=[ParkedRecord(external_id="7", reason="unknown type", raw={"type": "NEW"})])
    open_page(phone, "/sync/parked/")
    phone.locator("summary", has_text="Show").first.click()
    screenshot(phone, "parked")
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_pages_are_accessible_and_fit_the_screen(
    new_page: Callable[..., Page],
    open_page: Callable[..., Page],
    person: User,
    screenshot: Screenshot,
    inaccessible: Callable[[Page], list[str]],
    scheme: str,
    width: int,
) -> None:
    account = an_account(a_connection(person))
    imported = sync_service.request_import(
        user=person, account=account, name="odd.csv", content=fixture("schwab-brokerage-odd-rows.csv")
    )
    tasks.import_file(imported.pk)
    waiting = sync_service.request_sync(user=person, connection=account.connection, trigger=Trigger.MANUAL)
    SyncRun.objects.filter(pk=waiting.pk).update(
        state=RunState.WAITING,
        wait_until=timezone.now() + timedelta(minutes=5),
        wait_reason="rate limit",
        parts={"accounts": {"state": "done", "detail": "2 accounts", "at": timezone.now().isoformat()}},
    )
    waiting.entries.create(text="Started")
    raw = {"type": "ADR_FEE", "tradeDate": "2026-03-09", "netAmount": -1.25, "description": "ADR FEE"}
    park(run=waiting, account=account, parked=[ParkedRecord(external_id="7", reason="unknown type", raw=raw)])
    odd = account.parked_rows.get(external_id="7")
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 844})
    for address in (
        "/sync/",
        f"/sync/runs/{waiting.pk}/",
        f"/sync/runs/{imported.pk}/",
        f"/sync/runs/{imported.pk}/undo",
        "/sync/?undone=false",
        "/sync/import/",
        "/sync/parked/",
        f"/sync/parked/{odd.pk}/",
        f"/sync/connections/{account.connection_id}/",
        f"/connections/{account.connection_id}/",
    ):
        open_page(page, address)
        expect(page.locator(".dock .skeleton")).to_have_count(0)
        screenshot(page, address.strip("/").replace("/", "-"))
        assert inaccessible(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
