"""Tables as files."""

import csv
import io
import json
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from aggregation.exports import safe_cell
from aggregation.ledger import book, record_holdings
from aggregation.models import Source
from tests.aggregation.factories import CALL, a_connection, a_position, a_record, a_user, an_account, some_holdings

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(client):
    user = a_user()
    client.force_login(user)
    account = an_account(a_connection(user))
    holdings = some_holdings(a_position(), a_position(CALL, "-2", average_cost=None))
    record_holdings(account=account, holdings=holdings, run_id=None)
    records = [
        a_record("1", description="=HYPERLINK(1)"),
        a_record("2", description="-1 share, correction", traded_on=date(2026, 4, 1)),
    ]
    book(account=account, records=records, source=Source.API, run_id=None)
    return account


def download(client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    today = timezone.localdate(timezone=ZoneInfo(response.wsgi_request.user.timezone))
    name = url.split("/")[2].split("?")[0].replace(".", f"-{today}.")
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    return b"".join(response.streaming_content).decode()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_positions_as_csv(client, account):
    rows = rows_of(download(client, "/portfolio/positions.csv"))
    aapl, call, cash = sorted(rows, key=lambda row: row["symbol"])
    assert (aapl["symbol"], aapl["quantity"], aapl["market_value"], aapl["currency"]) == ("AAPL", "10", "2000", "USD")
    assert (aapl["average_cost"], aapl["cost"], aapl["price_source"]) == ("180.25", "1802.5", "schwab")
    assert (call["quantity"], call["average_cost"], call["unrealised_gain"]) == ("-2", "", "")
    assert (cash["asset_class"], cash["symbol"], cash["market_value"]) == ("Cash", "USD", "500")


def test_positions_as_json(client, account):
    rows = json.loads(download(client, "/portfolio/positions.json"))
    costs = {row["symbol"]: row["average_cost"] for row in rows}
    assert costs == {"AAPL": "180.25", CALL.symbol: None, "USD": None}


def test_the_file_of_positions_holds_what_the_table_shows_in_its_order(client, account):
    rows = json.loads(download(client, "/portfolio/positions.json?group=class&asset_class=option"))
    assert [(row["group"], row["symbol"]) for row in rows] == [("Option", CALL.symbol)]
    assert json.loads(download(client, "/portfolio/positions.json?account=0")) == []


def test_transactions_as_csv_are_no_formulas(client, account):
    rows = rows_of(download(client, "/portfolio/transactions.csv"))
    assert [row["description"] for row in rows] == ["'-1 share, correction", "'=HYPERLINK(1)"]
    assert [row["net_amount"] for row in rows] == ["-1802.5", "-1802.5"]
    assert rows[0]["account"] == "Individual ...4321"


def test_transactions_as_json_are_as_they_are(client, account):
    rows = json.loads(download(client, "/portfolio/transactions.json"))
    assert [row["description"] for row in rows] == ["-1 share, correction", "=HYPERLINK(1)"]
    assert rows[1]["traded_on"] == "2026-03-02"


def test_the_file_holds_what_the_filters_of_the_page_leave(client, account):
    assert len(rows_of(download(client, "/portfolio/transactions.csv?since=2026-03-15"))) == 1
    assert rows_of(download(client, "/portfolio/transactions.csv?since=soon")) == []


def test_nothing_to_export_is_still_a_file(client):
    client.force_login(a_user())
    assert json.loads(download(client, "/portfolio/positions.json")) == []
    assert rows_of(download(client, "/portfolio/transactions.csv")) == []


def test_a_strangers_file_holds_nothing_of_ours(client, account):
    client.force_login(a_user())
    assert json.loads(download(client, "/portfolio/transactions.json")) == []


@pytest.mark.parametrize(
    "text", ["=1+1", "+CMD", "-x", "@SUM(A1)", "\tx", "\rx", "-1-1", "+nan", "\n=1", "\uff1d1+1", "\uff0bx"]
)
def test_a_cell_that_would_be_calculated_is_text(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-1802.5", "+3", "0", "AAPL", "", "a=b", "2026-03-02"])
def test_other_cells_stay_as_they_are(text):
    assert safe_cell(text) == text
