"""What operators see: every list and row opens, and neither a file's content nor a raw row is shown."""

import pytest
from django.test import Client

from brokerhub.kernel.models import User
from sync import sync_service, tasks
from sync.models import ImportFile, ParkedRow, SyncCursor
from tests.aggregation.factories import a_connection, an_account
from tests.sync.samples import fixture


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(
        User.objects.create_superuser("root@example.com", "correct horse battery"),
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    return client


def test_every_list_and_row_opens_without_contents(operator: Client, person: User) -> None:
    account = an_account(a_connection(person))
    run = sync_service.request_import(
        user=person, account=account, name="odd.csv", content=fixture("schwab-brokerage-odd-rows.csv")
    )
    tasks.import_file(run.pk)
    cursor = SyncCursor.objects.create(account=account, covered_from="2026-01-01", covered_to="2026-01-31")
    rows = {
        "syncrun": run.pk,
        "synccursor": cursor.pk,
        "importfile": ImportFile.objects.get().pk,
        "parkedrow": ParkedRow.objects.first().pk,  # type: ignore[union-attr]
    }
    for model, pk in rows.items():
        for address in (f"/admin/sync/{model}/", f"/admin/sync/{model}/?q=ada", f"/admin/sync/{model}/{pk}/change/"):
            answer = operator.get(address)
            assert answer.status_code == 200, address
            text = answer.content.decode()
            assert "COCA COLA" not in text
            assert 'name="_save"' not in text
        assert operator.get(f"/admin/sync/{model}/add/").status_code == 403
