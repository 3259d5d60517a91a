"""Another person's object is not there: 404 for every address with an id, on the pages as in the API.

The addresses are read from the schema and from the URL configuration, so a new one is tried without being named here;
one with a new kind of id fails until `owned` knows an object for it.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.idp.oidc.models import Client as OtherApp
from django.test import Client
from django.urls import URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

from aggregation import ledger
from aggregation.models import (
    Break,
    CorporateAction,
    Correction,
    Instrument,
    InstrumentChoice,
    PossibleDuplicate,
    Source,
    Transaction,
    TransferLink,
)
from brokerhub.archive.models import ExportReading
from brokerhub.identity.models import AppAccess
from brokerhub.kernel.models import ApiToken, User
from brokerhub.webhooks import endpoints as webhooks
from brokerhub.webhooks.models import Delivery, Endpoint
from comparison.models import BrokerRating, ComparisonBroker, CostSimulation, RecommendationProfile
from connections.models import Connection, OfferedAccount, UnfinishedRevocation
from sync import drafts
from sync.models import ImportDraft, ImportFile, Mode, ParkedRow, RunState, SyncRun, Trigger, WordRule
from tests.aggregation.factories import AAPL, a_connection, a_position, a_record, a_user, an_account, some_holdings
from tests.sync.samples import fixture

NOBODYS = {"broker", "method", "suffix", "currency", "document"}  # words in an address that are no object of a person


@pytest.fixture
def owner(db: None) -> User:
    return a_user()


def belongings(owner: User) -> dict[str, Any]:
    """An object of the owner for each name that an id has in an address, most of them by type where names are plain."""
    connection = a_connection(owner)
    account = an_account(connection)
    run = SyncRun.objects.create(
        connection=connection, trigger=Trigger.IMPORT, mode=Mode.IMPORT, state=RunState.QUEUED, requested_by=owner
    )
    ledger.book(account=account, records=[a_record("1"), a_record("2")], source=Source.API, run_id=run.pk)
    ledger.record_holdings(account=account, holdings=some_holdings(a_position(AAPL)), run_id=run.pk)
    transaction, twin = Transaction.objects.order_by("pk")
    Transaction.objects.filter(pk=twin.pk).update(status="duplicate")  # merged, so that lists hold one row
    pair = PossibleDuplicate.objects.create(account=account, first=transaction, second=twin, reasons=["date"])
    broken = Break.objects.create(
        account=account, currency="USD", reported=1, derived=0, difference=1, explained=1, cause="unknown", findings=[]
    )
    correction = Correction.objects.create(account=account, action="book", label="Book", about="Cash", cause="fee")
    link = TransferLink.objects.create(outgoing=transaction, incoming=twin)
    parked = ParkedRow.objects.create(run=run, account=account, digest="0" * 64, reason="Unknown.", raw={"word": "?"})
    rule = WordRule.objects.create(user=owner, broker="schwab", field="type", word="ODD", kind="fee")
    offered = OfferedAccount.objects.create(connection=connection, external_id="offered", name="Opened later")
    owed = UnfinishedRevocation.objects.create(
        user=owner, broker="schwab", method="schwab_oauth", environment="sandbox", label="Left"
    )
    draft = drafts.begin(user=owner, name="a.csv", content=fixture("schwab-brokerage.csv"))
    drafts.say(draft, format=draft.format, choices={}, accounts={"": {"account": account.pk}})
    ImportFile.objects.create(
        run=run, account=account, name="a.csv", format=draft.format, size=draft.size, content=draft.content
    )
    alike = Instrument.objects.create(key="security:ODD:USD", asset_class="equity", symbol="ODD", currency="USD")
    choice = InstrumentChoice.objects.create(
        user=owner, instrument=Instrument.objects.get(symbol="AAPL"), other=alike, is_same=False
    )
    simulation = CostSimulation.objects.create(
        user=owner, inputs={}, key="one", catalogue_version=0, engine_version=1, state="done"
    )
    kept = RecommendationProfile.objects.create(user=owner, name="Mine", inputs={}, catalogue_version=0, result={})
    broker = ComparisonBroker.objects.create(key="schwab", name="Charles Schwab", role="integrated")
    rating = BrokerRating.objects.create(user=owner, broker=broker, overall=4, text="Waits to be checked.")
    action = CorporateAction.objects.create(
        user=owner,
        kind="split",
        instrument=Instrument.objects.get(symbol="AAPL"),
        on=transaction.traded_on,
        new=2,
        currency="USD",
    )
    endpoint, _ = webhooks.create(user=owner, url="https://hooks.example.com/")
    delivery = webhooks.test(endpoint)
    reading = ExportReading.objects.create(user=owner, name="all.zip", size=1, state="done")
    return {
        "access_id": AppAccess.objects.create(user=owner, client=OtherApp.objects.create(name="Lens")).pk,
        "token_id": ApiToken.objects.create(user=owner)[0].pk,
        "reading_id": reading.pk,
        "endpoint_id": endpoint.pk,
        "delivery_id": delivery.pk,
        "simulation_id": simulation.pk,
        "recommendation_id": kept.pk,
        "connection_id": connection.pk,
        "account_id": account.pk,
        "offered_id": offered.pk,
        "revocation_id": owed.pk,
        "action_id": action.pk,
        "run_id": run.pk,
        "id": transaction.pk,
        "transaction_id": transaction.pk,
        "instrument_id": transaction.instrument_id,
        "choice_id": choice.pk,
        "draft_id": draft.pk,
        "pair_id": pair.pk,
        "break_id": broken.pk,
        "correction_id": correction.pk,
        "link_id": link.pk,
        "row_id": parked.pk,
        "rule_id": rule.pk,
        "rating_id": rating.pk,
        "line": 3,
        "currency": "USD",
        "suffix": "csv",
        "broker": "schwab",
        "method": "schwab_oauth",
    }


@pytest.fixture
def owned(owner: User) -> dict[str, Any]:
    return belongings(owner)


# --- The API ----------------------------------------------------------------------------------------------------------
def endpoints() -> list[tuple[str, str]]:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods if _has_id(path)]
    assert len(found) >= 5
    return found


def _has_id(path: str) -> bool:
    names = {part[1:-1] for part in path.split("/") if part.startswith("{")}
    return bool(names - NOBODYS)


@pytest.mark.parametrize(("method", "path"), endpoints(), ids=lambda value: value)
def test_no_endpoint_knows_another_persons_object(method, path, owner, owned, token_client):
    address = path.format(**owned)
    before = snapshot(owner)
    answer = token_client(a_user()).generic(method, address, "{}", content_type="application/json")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert snapshot(owner) == before
    if method == "GET":
        assert token_client(owner).get(address).status_code == 200


def snapshot(user: User) -> list[Any]:
    return [
        list(Connection.objects.filter(user=user).values()),
        list(OfferedAccount.objects.filter(connection__user=user).values()),
        list(UnfinishedRevocation.objects.filter(user=user).values()),
        list(SyncRun.objects.filter(connection__user=user).values()),
        list(ImportDraft.objects.filter(user=user).values()),
        list(PossibleDuplicate.objects.filter(account__connection__user=user).values()),
        list(Break.objects.filter(account__connection__user=user).values()),
        list(Correction.objects.filter(account__connection__user=user).values()),
        list(TransferLink.objects.filter(outgoing__account__connection__user=user).values()),
        list(ParkedRow.objects.filter(account__connection__user=user).values()),
        list(WordRule.objects.filter(user=user).values()),
        list(InstrumentChoice.objects.filter(user=user).values()),
        list(BrokerRating.objects.filter(user=user).values()),
        list(Endpoint.objects.filter(user=user).values()),
        list(Delivery.objects.filter(endpoint__user=user).values()),
        list(Transaction.objects.filter(account__connection__user=user).values("pk", "status")),
    ]


@pytest.mark.parametrize(
    ("path", "name"),
    [("/api/v1/brokerage/sync", "connection_id"), ("/api/v1/brokerage/oauth/initiate", "connection_id")],
)
def test_another_persons_object_cannot_be_named_in_a_body(path, name, owner, owned, token_client):
    before = snapshot(owner)
    answer = token_client(a_user()).post(path, {name.removesuffix("_id"): str(owned[name])})
    assert answer.status_code == 404
    assert snapshot(owner) == before


LISTS = [
    "/api/v1/brokerage/connections",
    "/api/v1/brokers/accounts",
    "/api/v1/brokers/positions",
    "/api/v1/brokers/balances",
]
LISTS += ["/api/v1/brokerage/transactions", "/api/v1/brokerage/sync/runs"]


@pytest.mark.parametrize("path", LISTS)
def test_lists_hold_only_ones_own(path, owner, owned, token_client):
    assert len(token_client(owner).get(path).json()["results"]) == 1
    assert token_client(a_user()).get(path).json()["results"] == []


@pytest.mark.parametrize(
    "query", ["account={account_id}", "connection={connection_id}", "run={run_id}", "instrument={instrument_id}"]
)
@pytest.mark.parametrize("path", [*LISTS, "/api/v1/brokerage/sync/status", "/api/v1/brokerage/parked"])
def test_a_filter_by_another_persons_object_finds_nothing(path, query, owned, token_client):
    answer = token_client(a_user()).get(f"{path}?{query.format(**owned)}")
    if answer.status_code == 200:
        body = answer.json()
        assert body.get("results", body.get("connections")) == []
    else:
        assert answer.status_code in {400, 404}
        assert "Individual" not in answer.content.decode()


# --- The pages --------------------------------------------------------------------------------------------------------
APPS = {None, "aggregation", "comparison", "connections", "health", "sync", "webhooks"}


def pages(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Every page's route that holds an id, as a format string."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            if entry.namespace in APPS and "api/" not in str(entry.pattern):
                yield from pages(entry, prefix + str(entry.pattern))
        elif set(entry.pattern.converters) - NOBODYS:
            route = prefix + str(entry.pattern)
            for name in entry.pattern.converters:
                start, end = route.index("<"), route.index(">")
                route = f"{route[:start]}{{{name}}}{route[end + 1 :]}"
            if "accounts/" not in route[:9]:  # allauth's own: keys of mails and devices, tested there
                yield f"/{route}"


PAGES = sorted(pages(get_resolver()))


def test_the_pages_were_found():
    assert len(PAGES) >= 8


@pytest.mark.parametrize("route", PAGES)
def test_no_page_knows_another_persons_object(route, owner, owned):
    browser = Client()
    browser.force_login(a_user())
    before = snapshot(owner)
    statuses = {browser.get(route.format(**owned)).status_code, browser.post(route.format(**owned)).status_code}
    assert 404 in statuses
    assert statuses <= {404, 405}
    assert snapshot(owner) == before


@pytest.mark.parametrize("route", PAGES)
def test_each_page_that_may_be_read_or_posted_is_there_for_its_owner(route, owner, owned):
    """Else the 404 above would prove nothing."""
    browser = Client()
    browser.force_login(owner)
    assert browser.get(route.format(**owned)).status_code in {200, 302, 405}


@pytest.mark.parametrize("route", PAGES)
def test_a_visitor_is_sent_to_sign_in(route, owned):
    answer = Client().get(route.format(**owned))
    assert answer.status_code in {302, 405}
    if answer.status_code == 302:
        assert answer["Location"].startswith("/accounts/login/?next=")
