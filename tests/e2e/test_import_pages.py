"""The way of a file into the books in a real browser: accessible, fitting, wide and on a phone, light and dark."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from playwright.sync_api import Page, expect

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.models import Account
from sync import tasks
from sync.models import SyncRun
from tests.aggregation.factories import a_connection, an_account
from tests.sync.samples import FIXTURES

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
SIZES: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "phone-dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
MIXED = (
    '"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
    '"06/10/2026","Buy","KO","COCA COLA CO","10","$60.10","","-$601.00"\n'
    '"06/10/2026","Service Fee","","MONTHLY FEE","","","","-$1.00"\n'
    '"06/11/2026","Odd Word","","A MATTER OF ITS OWN","","","","$2.00"\n'
    '"13/45/2026","Service Fee","","MONTHLY FEE","","","","-$3.00"\n'
    '"06/12/2026","Cash Dividend","KO","COCA COLA CO","","","","$5.00"\n'
    '"Transactions Total","","","","","","","-$598.00"\n'
)
UNKNOWN = "Tag;Vorgang;Papier;Anzahl;Kurs;Wert\n31.01.2026;Kauf;SAP;10;100,50;-1.005,00\n27.02.2026;Bonus;SAP;;;22,10\n"


@pytest.fixture
def account(person: User) -> Account:
    return an_account(a_connection(person))


@pytest.fixture(params=SIZES)
def browsing(
    request: pytest.FixtureRequest, new_page: Callable[..., Page], sign_up: Callable[[User], Client], person: User
) -> Page:
    page = new_page(**SIZES[request.param])
    session = sign_up(person).cookies[django_settings.SESSION_COOKIE_NAME].value
    url = request.getfixturevalue("live_server").url
    page.context.add_cookies([{"name": django_settings.SESSION_COOKIE_NAME, "value": session, "url": url}])
    page.goto(f"{url}/sync/import/")
    return page


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_a_file_is_looked_at_mended_and_imported(
    browsing: Page,
    account: Account,
    tmp_path: Path,
    inaccessible: Callable[..., list[str]],
    screenshot: Callable[..., Path],
) -> None:
    page = browsing

    def look(name: str) -> None:
        screenshot(page, name)
        assert inaccessible(page) == []
        assert fits(page)

    file = tmp_path / "schwab-mixed.csv"
    file.write_text(MIXED)
    look("1-upload")
    page.set_input_files("input[type=file]", file)
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_label("Kind of file")).to_be_visible()
    look("2-account")
    page.get_by_role("button", name="Check the rows").click()
    expect(page.get_by_role("button", name="Import 4 rows")).to_be_visible()
    look("3-rows")
    page.get_by_role("link", name="Mend line 5").click()
    page.get_by_label("Date", exact=True).fill("06/13/2026")
    look("4-mend")
    page.get_by_role("button", name="Mend the row").click()
    expect(page.get_by_role("button", name="Import 5 rows")).to_be_visible()
    page.get_by_label("Line 4", exact=True).check()
    page.get_by_role("button", name="Leave out the ticked rows").click()
    expect(page.get_by_text("1 row left out.")).to_be_visible()
    look("5-left-out")
    page.get_by_role("button", name="Import 4 rows").click()
    expect(page.get_by_text("schwab-mixed.csv")).to_be_visible()
    tasks.import_file(SyncRun.objects.get().pk)
    page.reload()
    expect(page.get_by_role("link", name="Rows that were not booked")).to_be_visible()
    look("6-result")
    assert Transaction.objects.count() == 4


def test_an_unknown_table_is_mapped(
    browsing: Page,
    account: Account,
    tmp_path: Path,
    inaccessible: Callable[..., list[str]],
    screenshot: Callable[..., Path],
) -> None:
    page = browsing
    file = tmp_path / "unknown.csv"
    file.write_text(UNKNOWN)
    page.set_input_files("input[type=file]", file)
    page.get_by_role("button", name="Look at the file").click()
    screenshot(page, "1-unknown")
    assert inaccessible(page) == []
    page.get_by_role("link", name="Name the columns").first.click()
    for column, field in {
        "Tag": "date",
        "Vorgang": "word",
        "Papier": "symbol",
        "Anzahl": "quantity",
        "Wert": "amount",
    }.items():
        page.get_by_label(column, exact=True).select_option(field)
    screenshot(page, "2-columns")
    assert inaccessible(page) == []
    assert fits(page)
    page.get_by_role("button", name="Continue").click()
    screenshot(page, "3-words")
    assert inaccessible(page) == []
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("In which currency is this account?")).to_be_visible()
    screenshot(page, "4-questions")
    assert inaccessible(page) == []
    assert fits(page)


def test_two_accounts_of_one_file_are_told_apart(
    browsing: Page, account: Account, inaccessible: Callable[..., list[str]], screenshot: Callable[..., Path]
) -> None:
    page = browsing
    page.set_input_files("input[type=file]", FIXTURES / "two-accounts.csv")
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_label("Account for the rows of X11112222")).to_be_visible()
    screenshot(page, "1-accounts")
    assert inaccessible(page) == []
    assert fits(page)
