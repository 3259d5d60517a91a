"""Possible duplicates in a real browser: decided with keys, with buttons, and without JavaScript."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from aggregation import review
from aggregation.models import PossibleDuplicate
from brokerhub.kernel.models import User
from connections.models import Account
from tests.aggregation.factories import a_connection, a_record, an_account
from tests.aggregation.test_booking import book_api, book_file

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
NewPage = Callable[..., Page]


@pytest.fixture
def browse(
    person: User, sign_up: Callable[[User], Client], live_server: LiveServer, new_page: NewPage
) -> Callable[..., Page]:
    """Opens the queue, with the options of a browser's context."""
    session = sign_up(person).cookies[settings.SESSION_COOKIE_NAME].value

    def open_queue(**options: object) -> Page:
        page = new_page(base_url=live_server.url, **options)
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        page.goto("/portfolio/review/")
        return page

    return open_queue


@pytest.fixture
def questions(person: User) -> list[int]:
    """Three questions, in the order they are shown."""
    account: Account = an_account(a_connection(person))
    book_api(account, *(a_record(str(number), net_amount=Decimal(-number)) for number in range(1, 4)))
    book_file(account, *(a_record(net_amount=Decimal(-number) - Decimal("0.01")) for number in range(1, 4)))
    return list(PossibleDuplicate.objects.order_by("-pk").values_list("pk", flat=True))


def decisions(questions: list[int]) -> list[str]:
    told = dict(PossibleDuplicate.objects.values_list("pk", "decision"))
    return [told[pk] for pk in questions]


def test_keys_move_decide_and_undo_but_not_while_one_types(
    browse: Callable[..., Page],
    questions: list[int],
    inaccessible: Callable[[Page], list[str]],
    screenshot: Callable[..., Path],
) -> None:
    page = browse()
    here = page.locator("[data-at]")
    expect(here).to_have_id(f"pair-{questions[0]}")
    expect(page.get_by_text("J next")).to_be_visible()
    page.keyboard.press("j")
    expect(here).to_have_id(f"pair-{questions[1]}")
    expect(here).to_be_focused()
    screenshot(page, "second")
    assert inaccessible(page) == []
    page.keyboard.press("k")
    page.keyboard.press("s")
    expect(page).to_have_url(page.url.partition("#")[0] + f"#pair-{questions[1]}")
    expect(here).to_have_id(f"pair-{questions[1]}")
    page.keyboard.press("b")
    expect(here).to_have_id(f"pair-{questions[2]}")
    assert decisions(questions) == ["merged", "kept", "open"]
    page.keyboard.press("u")
    expect(here).to_have_id(f"pair-{questions[1]}")
    assert decisions(questions) == ["merged", "open", "open"]
    assert inaccessible(page) == []
    page.get_by_label("Row that counts").first.focus()
    page.keyboard.press("s")
    page.keyboard.press("Control+b")
    page.get_by_role("button", name="Turn keys off").click()
    page.keyboard.press("s")
    page.reload()
    expect(page.get_by_role("button", name="Use shortcut keys")).to_be_visible()
    page.keyboard.press("s")
    expect(page.get_by_text("2 questions wait.")).to_be_visible()
    assert decisions(questions) == ["merged", "open", "open"]


def test_without_javascript_buttons_do_the_same(browse: Callable[..., Page], questions: list[int]) -> None:
    page = browse(java_script_enabled=False)
    expect(page.get_by_role("button", name="Turn keys off")).to_have_count(0)
    page.get_by_role("button", name="The same: count once").first.click()
    expect(page.get_by_text("2 questions wait.")).to_be_visible()
    assert decisions(questions) == ["merged", "open", "open"]
    page.get_by_role("button", name="Undo the last decision").click()
    expect(page.get_by_text("3 questions wait.")).to_be_visible()
    assert decisions(questions) == ["open", "open", "open"]


def test_the_queue_fits_a_phone_and_is_accessible_there(
    browse: Callable[..., Page],
    questions: list[int],
    inaccessible: Callable[[Page], list[str]],
    screenshot: Callable[..., Path],
) -> None:
    page = browse(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Two: keep both").first.tap()
    expect(page.get_by_role("button", name="Undo the last decision")).to_be_visible()
    screenshot(page, "phone")
    assert inaccessible(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_was_decided_and_what_was_told_twice_are_accessible_lists(
    browse: Callable[..., Page],
    person: User,
    questions: list[int],
    inaccessible: Callable[[Page], list[str]],
    screenshot: Callable[..., Path],
) -> None:
    pair = PossibleDuplicate.objects.get(pk=questions[0])
    review.merge(pair, user=person)
    page = browse()
    page.get_by_role("link", name="Decided before").click()
    expect(page.get_by_text("The same, counted once")).to_be_visible()
    screenshot(page, "decided")
    assert inaccessible(page) == []
    page.get_by_role("link", name="Told twice, counted once").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    screenshot(page, "told-twice")
    assert inaccessible(page) == []
