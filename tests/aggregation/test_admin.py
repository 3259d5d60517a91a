"""Operators look at the books; nobody writes them there."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aggregation.ledger import book, record_holdings
from aggregation.models import Source
from brokerhub.kernel.models import User
from tests.aggregation.factories import a_position, a_record, an_account, some_holdings

pytestmark = pytest.mark.django_db
LISTS = ["instrument", "transaction", "position", "balance", "balancepoint"]


@pytest.fixture
def admin_of_books(client):
    client.force_login(User.objects.create_superuser("admin@example.com", "a long enough password"))
    return client


def one_more_account(rows: int) -> None:
    account = an_account()
    record_holdings(account=account, holdings=some_holdings(a_position()), run_id=None)
    records = [a_record(str(number)) for number in range(rows)]
    book(account=account, records=records, source=Source.API, run_id=None)


@pytest.mark.parametrize("model", LISTS)
def test_each_list_can_be_seen_searched_and_costs_the_same_for_many_rows(admin_of_books, model):
    counted = []
    for accounts in (1, 10):
        for _ in range(accounts):
            one_more_account(rows=5)
        url = f"/admin/aggregation/{model}/"
        admin_of_books.get(url)
        with CaptureQueriesContext(connection) as queries:
            response = admin_of_books.get(url)
        assert response.status_code == 200
        counted.append(len(queries))
    assert counted[0] == counted[1]
    assert admin_of_books.get(f"{url}?q=AAPL").status_code == 200


@pytest.mark.parametrize("model", LISTS)
def test_nothing_can_be_added_changed_or_deleted(admin_of_books, model):
    one_more_account(rows=1)
    assert admin_of_books.get(f"/admin/aggregation/{model}/add/").status_code == 403
    page = admin_of_books.get(f"/admin/aggregation/{model}/").content.decode()
    pk = page.split(f"/admin/aggregation/{model}/")[-1].split("/change/")[0]
    shown = admin_of_books.get(f"/admin/aggregation/{model}/{pk}/change/")
    assert shown.status_code == 200
    assert "12344321" not in shown.content.decode()
    assert admin_of_books.post(f"/admin/aggregation/{model}/{pk}/change/", {}).status_code == 403
    assert admin_of_books.post(f"/admin/aggregation/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403
