"""Every model's admin pages open, and none of them shows what is sealed."""

import pytest
from django.contrib import admin
from django.test import Client

from aggregation import ledger
from aggregation.models import Source
from brokerhub.kernel.models import ApiToken, User
from connections.models import Connection
from sync.models import Mode, RunState, SyncRun, Trigger
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
    ledger.book(account=account, records=[a_record("1")], source=Source.API, run_id=run.pk)
    ledger.record_holdings(account=account, holdings=some_holdings(a_position()), run_id=run.pk)
    ApiToken.objects.create(user=caller)
    return connection


@pytest.mark.parametrize(("model", "site"), ADMINS, ids=[model._meta.label for model, _ in ADMINS])
def test_lists_searches_and_forms_open_and_show_no_secret(desk, books, caller, model, site):
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    addresses = [base, *([f"{base}?q=caller"] if site.search_fields else [])]
    addresses += [f"{base}{row.pk}/change/" for row in model._default_manager.all()[:2]]
    for address in addresses:
        answer = desk.get(address)
        assert answer.status_code == 200, address
        page = answer.content.decode()
        assert "sealed-canary" not in page
        assert caller.password not in page
        assert ApiToken.objects.get().digest not in page


@pytest.mark.parametrize(("model", "site"), ADMINS, ids=[model._meta.label for model, _ in ADMINS])
def test_each_model_can_be_found_and_told_apart(model, site):
    assert site.list_display != ("__str__",) or model._meta.app_label == "auth"
    assert site.get_search_fields(None) or site.list_filter
