"""The first page: invites the new, sums up for the rest, and names what needs a hand."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aggregation.models import Balance, BalancePoint, PointBasis
from brokerhub.kernel.models import User
from connections.brokers.records import AuthMethod, Broker
from connections.models import Account, Connection
from connections.states import ConnectionState
from sync.models import Mode, ParkedRow, RunState, SyncRun, Trigger

SignUp = Callable[[User], Client]


@pytest.fixture
def browser_of(sign_up: SignUp, person: User) -> Client:
    return sign_up(person)


def a_connection(user: User, label: str = "Schwab, mine", state: str = "connected", reason: str = "") -> Connection:
    return Connection.objects.create(
        user=user,
        broker=Broker.SCHWAB,
        method=AuthMethod.SCHWAB_OAUTH,
        environment="sandbox",
        label=label,
        state=state,
        reason_code=reason,
    )


def an_account(connection: Connection, name: str = "Individual", value: str | None = "1500.25") -> Account:
    account = Account.objects.create(connection=connection, external_id=name, mask="345", name=name)
    Balance.objects.create(
        account=account,
        currency="USD",
        cash=Decimal(100),
        net_asset_value=None if value is None else Decimal(value),
        as_of=timezone.now(),
    )
    return account


def a_run(connection: Connection, state: RunState, error: str = "") -> SyncRun:
    return SyncRun.objects.create(
        connection=connection, trigger=Trigger.MANUAL, mode=Mode.INCREMENTAL, state=state, error=error
    )


def shown(client: Client) -> str:
    return re.sub(r"\s+", " ", client.get("/").content.decode())


def test_a_new_person_is_invited_to_the_one_first_step(browser_of: Client) -> None:
    page = shown(browser_of)
    assert "Welcome, Ada" in page
    assert re.search(r'class="button" href="/connections/new/">Connect a broker<', page)
    assert re.search(r'href="/sync/import/">Import a file<', page)
    assert "plotly" not in page


def test_the_total_is_the_sum_of_what_the_accounts_report(browser_of: Client, person: User) -> None:
    connection = a_connection(person)
    an_account(connection, "Individual", "1500.25")
    an_account(connection, "Rollover IRA", "499.75")
    page = shown(browser_of)
    assert '<p class="total__value"><span class="money">2,000.00' in page
    assert "Rollover IRA" in page
    assert "Needs your attention" not in page


def test_a_total_with_an_unknown_part_is_unknown(browser_of: Client, person: User) -> None:
    connection = a_connection(person)
    an_account(connection, "Individual", "1500.25")
    an_account(connection, "Rollover IRA", None)
    assert re.search(r'<p class="total__value"><abbr class="money is-unknown"', shown(browser_of))


def test_hidden_amounts_leave_no_figure_on_the_page(browser_of: Client, person: User) -> None:
    an_account(a_connection(person))
    browser_of.cookies["amounts"] = "hidden"
    assert "1,500.25" not in shown(browser_of)


def test_one_day_is_no_history_and_two_are(browser_of: Client, person: User) -> None:
    account = an_account(a_connection(person))
    today = timezone.now().date()
    for days_ago in (0, 1):
        assert "Value over the last year" not in shown(browser_of)
        BalancePoint.objects.create(
            account=account,
            on=today - timedelta(days=days_ago),
            currency="USD",
            net_asset_value=Decimal(1000),
            basis=PointBasis.OBSERVED,
            as_of=timezone.now(),
        )
    assert "Value over the last year" in shown(browser_of)


@pytest.mark.parametrize(
    ("state", "reason", "says", "action"),
    [
        (ConnectionState.NEEDS_REAUTH, "authorization_expired", "at Charles Schwab has run out.", "Sign in again"),
        (ConnectionState.EXPIRING, "authorization_expiring", "asks for a new sign-in from time to time", "Renew now"),
        (ConnectionState.PENDING_AUTH, "consent_denied", "Access was declined", "Try again"),
        (ConnectionState.ERROR, "app_credentials_refused", "An administrator has to mend it.", "See details"),
    ],
)
def test_a_connection_in_trouble_says_why_and_what_to_do(
    browser_of: Client, person: User, state: str, reason: str, says: str, action: str
) -> None:
    connection = a_connection(person, state=state, reason=reason)
    page = shown(browser_of)
    assert "Needs your attention" in page
    assert says in page
    assert re.search(rf'href="/connections/{connection.pk}/">{action}<', page)


@pytest.mark.parametrize("state", [ConnectionState.RATE_LIMITED, ConnectionState.MAINTENANCE])
def test_what_mends_itself_does_not_ask_for_anybody(browser_of: Client, person: User, state: str) -> None:
    a_connection(person, state=state, reason="maintenance")
    assert "Needs your attention" not in shown(browser_of)


def test_a_failed_sync_needs_attention_until_a_later_one_succeeds(browser_of: Client, person: User) -> None:
    connection = a_connection(person)
    failed = a_run(connection, RunState.FAILED, "Schwab answered in a form the hub does not know.")
    page = shown(browser_of)
    assert "Schwab answered in a form the hub does not know." in page
    assert f'href="/sync/runs/{failed.pk}/"' in page
    a_run(connection, RunState.SUCCEEDED)
    assert "Needs your attention" not in shown(browser_of)


def test_rows_no_rule_understands_are_counted(browser_of: Client, person: User) -> None:
    connection = a_connection(person)
    account, run = an_account(connection), a_run(connection, RunState.SUCCEEDED)
    for digest in ("a", "b"):
        ParkedRow.objects.create(run=run, account=account, digest=digest, reason="Unknown kind", raw={})
    page = shown(browser_of)
    assert "<strong>2 rows</strong>" in page
    assert 'href="/sync/parked/"' in page


def test_what_is_somebody_elses_is_nowhere_on_the_page(browser_of: Client, person: User, stranger: User) -> None:
    connection = a_connection(stranger, "Charlie's own", ConnectionState.NEEDS_REAUTH, "refresh_refused")
    account, run = an_account(connection, "Charlie's account"), a_run(connection, RunState.FAILED)
    ParkedRow.objects.create(run=run, account=account, digest="a", reason="Unknown kind", raw={})
    a_connection(person)
    page = shown(browser_of)
    assert "Charlie" not in page
    assert "Needs your attention" not in page


def test_fifty_accounts_cost_the_same_queries_as_one(browser_of: Client, person: User) -> None:
    connection = a_connection(person)
    an_account(connection, "0")
    a_run(connection, RunState.SUCCEEDED)
    browser_of.get("/")  # the session's own bookkeeping
    with CaptureQueriesContext(database) as one:
        browser_of.get("/")
    for number in range(1, 50):
        an_account(connection, str(number))
        a_run(connection, RunState.SUCCEEDED)
    with CaptureQueriesContext(database) as fifty:
        browser_of.get("/")
    assert len(fifty) == len(one)


@pytest.mark.django_db
def test_a_visitor_is_asked_to_sign_in(client: Client) -> None:
    assert client.get("/")["Location"] == "/accounts/login/?next=/"
