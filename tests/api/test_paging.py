"""Cursor pages stay where they were while rows come and go."""

from datetime import UTC, datetime

import pytest
from rest_framework.test import APIClient

from brokerhub.kernel.models import ApiToken, Scope, User

pytestmark = pytest.mark.usefixtures("frame")
TOKENS = "/api/v1/test/tokens"
PEOPLE = "/api/v1/test/people"


@pytest.fixture
def forty(caller: User) -> list[ApiToken]:
    """Forty tokens under four names, so that rows in one place of the order share their first column."""
    return [ApiToken.objects.create(user=caller, name=f"name {n % 4}", scopes=list(Scope))[0] for n in range(40)]


@pytest.fixture
def browser(caller: User) -> APIClient:
    client = APIClient()
    client.force_login(caller)
    return client


def walk(client: APIClient, address: str, link: str = "next") -> list[list[str]]:
    """The rows of each page, following `link` to its end."""
    pages = []
    while address:
        body = client.get(address).json()
        pages.append([next(iter(row.values())) for row in body["results"]])
        address = body[link]
    return pages


def test_pages_give_each_row_once_in_order(browser, forty):
    pages = walk(browser, f"{TOKENS}?limit=7")
    assert [len(page) for page in pages] == [7, 7, 7, 7, 7, 5]
    assert [row for page in pages for row in page] == sorted(token.name for token in forty)


def test_the_way_back_shows_the_same_pages(browser, forty):
    address, last = f"{TOKENS}?limit=10", ""
    forth = walk(browser, address)
    while address:
        last, address = address, browser.get(address).json()["next"]
    assert walk(browser, last, "previous") == list(reversed(forth))


def test_a_page_that_fits_has_no_neighbours(browser, forty):
    body = browser.get(f"{TOKENS}?limit=40").json()
    assert len(body["results"]) == 40
    assert (body["next"], body["previous"]) == (None, None)


def test_no_rows_are_an_empty_page(browser):
    assert browser.get(TOKENS).json() == {"next": None, "previous": None, "results": []}


def test_rows_added_among_those_already_read_move_no_other(browser, caller, forty):
    first = browser.get(f"{TOKENS}?limit=5").json()
    for _ in range(30):  # random digests: some land before the cursor, some after, all under the first name
        ApiToken.objects.create(user=caller, name="name 0", scopes=[])
    rest = walk(browser, first["next"])
    read = [row["name"] for row in first["results"]] + [row for page in rest for row in page]
    assert [name for name in read if name != "name 0"] == sorted(t.name for t in forty if t.name != "name 0")
    assert len(read) <= 70


def test_removing_the_row_at_the_cursor_loses_no_other(browser, forty):
    body = browser.get(f"{TOKENS}?limit=5").json()
    ordered = ApiToken.objects.order_by("name", "pk")
    ApiToken.objects.filter(pk__in=[token.pk for token in ordered[:5]]).delete()
    assert sum(len(page) for page in walk(browser, body["next"])) == 35


def test_times_are_compared_to_the_microsecond(browser, caller):
    for microsecond in range(1, 7):
        person = User.objects.create_user(f"p{microsecond}@example.com")
        User.objects.filter(pk=person.pk).update(date_joined=datetime(2026, 1, 1, 0, 0, 0, microsecond, tzinfo=UTC))
    rows = [row for page in walk(browser, f"{PEOPLE}?limit=2") for row in page]
    assert rows == [caller.email, *(f"p{microsecond}@example.com" for microsecond in range(6, 0, -1))]


def test_the_other_parameters_stay_in_the_links(browser, forty):
    link = browser.get(f"{TOKENS}?limit=5&name=a%26b").json()["next"]
    assert "limit=5" in link
    assert "name=a%26b" in link


@pytest.mark.parametrize("limit", ["0", "-1", "501", "many", "", "٣", "9" * 5000])
def test_a_limit_out_of_bounds_is_refused(browser, limit):
    answer = browser.get(TOKENS, {"limit": limit})
    assert answer.status_code == 400
    assert answer.json()["attr"] == "limit"


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "é",
        "AAAA",
        "bnVsbA==",  # null
        "W10=",  # []
        "W1tdLGZhbHNlXQ==",  # [[],false]
        "W1siYSJdLGZhbHNlXQ==",  # [["a"],false]: a column short
        "W1siYSIsW11dLGZhbHNlXQ==",  # [["a",[]],false]
        "W1siXHUwMDAwIiwiYSJdLGZhbHNlXQ==",  # [["\u0000","a"],false]
        "W1siYSIsImIiXSxudWxsXQ==",  # [["a","b"],null]
    ],
)
def test_a_cursor_that_is_not_ours_is_refused(browser, forty, cursor):
    answer = browser.get(TOKENS, {"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["attr"] == "cursor"


def test_a_cursor_with_values_of_another_kind_is_refused(browser):
    answer = browser.get(PEOPLE, {"cursor": "W1sibm90IGEgdGltZSIsImIiXSxmYWxzZV0="})  # [["not a time","b"],false]
    assert answer.status_code == 400
