"""Every model's admin pages open, and none of them shows what is sealed."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect, ForeignKeyRawIdWidget, RelatedFieldWidgetWrapper
from django.db import connection as database
from django.forms import ModelChoiceField
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from aggregation import ledger
from aggregation.models import Source
from brokerhub.kernel.desk_admin import DeskAdmin
from brokerhub.kernel.models import ApiToken, User
from connections.models import Connection
from sync.models import Mode, ParkedRow, RunState, SyncRun, Trigger
from tests.aggregation.factories import a_connection, a_position, a_record, an_account, some_holdings

ADMINS = sorted(admin.site._registry.items(), key=lambda entry: entry[0]._meta.label)


@pytest.fixture
def desk(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("staff@example.com", "correct horse battery"))
    return client


@pytest.fixture
def books(caller: User) -> Connection:
    connection = a_connection(caller, sealed_credentials=b"sealed-canary", broker_user_key="user-key-canary")
    account = an_account(connection)
    run = SyncRun.objects.create(
        connection=connection, trigger=Trigger.MANUAL, mode=Mode.INITIAL, state=RunState.QUEUED, requested_by=caller
    )
    told = {"accountNumber": "98765432199"}
    records = [a_record(name, raw=told) for name in "123"]
    ledger.book(account=account, records=records, source=Source.API, run_id=run.pk)
    for name in "123":
        ParkedRow.objects.create(run=run, account=account, digest=name, reason="unknown", raw=told)
        connection.events.create(action="noted", actor=caller)
    ledger.record_holdings(account=account, holdings=some_holdings(a_position()), run_id=run.pk)
    ApiToken.objects.create(user=caller)
    return connection


WHOLE_COUNT = re.compile(r"SELECT COUNT\(\*\)[^(]* FROM \"")  # of a table, not of a bounded query


@pytest.mark.parametrize(("model", "site"), ADMINS, ids=[model._meta.label for model, _ in ADMINS])
def test_every_page_opens_shows_no_secret_and_counts_nothing_to_its_end(desk, books, caller, model, site):
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    addresses = [base, *([f"{base}?q=caller"] if site.search_fields else [])]
    for row in model._default_manager.all()[:2]:
        addresses += [f"{base}{row.pk}/change/", f"{base}{row.pk}/history/"]
    for address in addresses:
        with CaptureQueriesContext(database) as asked:
            answer = desk.get(address)
        assert answer.status_code == 200, address
        page = answer.content.decode()
        for secret in ("sealed-canary", caller.password, ApiToken.objects.get().digest, "98765432199"):
            assert secret not in page, address
        counts = [each["sql"] for each in asked.captured_queries if WHOLE_COUNT.search(each["sql"])]
        assert not counts or "history" in address, counts


@pytest.mark.parametrize(("model", "site"), ADMINS, ids=[model._meta.label for model, _ in ADMINS])
def test_a_list_of_many_rows_asks_as_much_as_one_of_a_single_row(desk, books, monkeypatch, model, site):
    address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    desk.get(address)
    asked = []
    for rows in (1, 100):
        monkeypatch.setattr(site, "list_per_page", rows)
        with CaptureQueriesContext(database) as questions:
            desk.get(address)
        asked.append(len(questions))
    assert asked[1] <= asked[0]


SHORT = {"Group", "Permission", "ComparisonBroker", "ComparisonSource", "MaintenanceFeed"}  # lists of a few hundred


@pytest.mark.parametrize(("model", "site"), ADMINS, ids=[model._meta.label for model, _ in ADMINS])
def test_no_form_holds_a_list_of_everything(db, model, site):
    assert isinstance(site, DeskAdmin)
    assert (site.show_full_result_count, site.show_facets) == (False, admin.ShowFacets.NEVER)
    request = RequestFactory().get("/admin/")
    request.user = User(is_staff=True, is_superuser=True)
    if not (site.has_add_permission(request) or site.has_change_permission(request)):
        return  # there is no form
    for name, field in site.get_form(request).base_fields.items():
        widget = field.widget.widget if isinstance(field.widget, RelatedFieldWidgetWrapper) else field.widget
        if isinstance(field, ModelChoiceField) and not isinstance(widget, AutocompleteSelect | ForeignKeyRawIdWidget):
            listed: Any = field.queryset
            assert listed.model.__name__ in SHORT, name


@pytest.mark.parametrize(("model", "site"), ADMINS, ids=[model._meta.label for model, _ in ADMINS])
def test_each_model_can_be_found_and_told_apart(model, site):
    assert site.list_display != ("__str__",) or model._meta.app_label == "auth"
    assert site.get_search_fields(None) or site.list_filter
