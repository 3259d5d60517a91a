"""Settings > API tokens: made, shown once, used, revoked."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from brokerhub.kernel import tokens
from brokerhub.kernel.models import ApiToken, User

LIST = "/settings/tokens/"
NEW = "/settings/tokens/new/"
CONNECTIONS = "/api/v1/brokerage/connections"


def filled(web: Client, **fields: object) -> dict[str, object]:
    once = re.search(r'name="once"\s+value="([0-9a-f-]+)"', web.get(NEW).content.decode())
    assert once is not None
    return {"name": "Nightly export", "scopes": ["connections:read"], "lasts": "30", "once": once[1], **fields}


def shown_in(page: str) -> str:
    found = re.findall(r"hub_[0-9a-f]{64}", page)
    assert len(found) == 1
    return str(found[0])


def test_a_token_is_shown_once_works_and_can_be_revoked(web: Client, person: User) -> None:
    assert "No tokens yet" in web.get(LIST).content.decode()
    answer = web.post(NEW, filled(web))
    assert "no-store" in answer["Cache-Control"]
    token = shown_in(answer.content.decode())
    row = ApiToken.objects.get(user=person)
    assert timedelta(days=29) < row.expiry - timezone.now() <= timedelta(days=30)

    program = APIClient(HTTP_AUTHORIZATION=f"Token {token}")
    assert [program.get(CONNECTIONS).status_code for _ in range(3)] == [200, 200, 200]
    page = web.get(LIST).content.decode()
    assert "Nightly export" in page
    assert "See connections" in page
    assert "3 requests in a week" in page
    assert row.token_key in page
    assert token not in page
    assert token not in str(dict(web.session.items()))

    confirm = f"/settings/tokens/{row.pk}/revoke/"
    assert "This cannot be undone" in web.get(confirm).content.decode()
    assert ApiToken.objects.exists(), "a link changes nothing"
    assert "is revoked" in web.post(confirm, follow=True).content.decode()
    assert program.get(CONNECTIONS).json()["code"] == "token_invalid"


def test_its_owner_is_told_by_mail_and_the_log_says_who_did_it(
    web: Client, person: User, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        token = shown_in(web.post(NEW, filled(web)).content.decode())
    assert mail.outbox[0].to == [person.email]
    said = f"{mail.outbox[0].subject} {mail.outbox[0].body}"
    assert "Nightly export" in said
    assert "See connections" in said
    assert LIST in said
    assert token not in said
    web.post(f"/settings/tokens/{ApiToken.objects.get().pk}/revoke/")
    log = list(LogEntry.objects.filter(user=person).order_by("pk").values_list("change_message", flat=True))
    assert log == ["Made, with connections:read.", "Revoked."]


def test_a_page_that_is_loaded_again_makes_no_second_token(web: Client, person: User) -> None:
    fields = filled(web)
    web.post(NEW, fields)
    again = web.post(NEW, fields).content.decode()
    assert "has made its token already" in again
    assert ApiToken.objects.count() == 1
    once = re.search(r'name="once"\s+value="([0-9a-f-]+)"', again)
    assert once is not None
    shown_in(web.post(NEW, fields | {"once": once[1]}).content.decode())
    assert ApiToken.objects.count() == 2


@pytest.mark.parametrize(
    ("field", "wrong"), [("name", ""), ("scopes", []), ("scopes", ["admin:all"]), ("lasts", "4000"), ("lasts", "")]
)
def test_what_is_not_offered_is_refused_beside_its_field(web: Client, field: str, wrong: object) -> None:
    page = web.post(NEW, filled(web, **{field: wrong})).content.decode()
    assert f'id="id_{field}_error"' in page
    assert not ApiToken.objects.exists()


def test_there_is_an_end_to_the_number_of_tokens(web: Client, person: User, monkeypatch) -> None:
    monkeypatch.setattr(tokens, "MOST", 1)
    web.post(NEW, filled(web))
    assert "as many as there can be" in web.post(NEW, filled(web)).content.decode()
    assert ApiToken.objects.count() == 1


def test_an_expired_token_stays_in_sight_until_it_is_removed(web: Client, person: User) -> None:
    row, _ = ApiToken.objects.create(user=person, name="Old", expiry=timedelta(seconds=-1), scopes=[])
    assert "Expired" in web.get(LIST).content.decode()
    assert "It only leaves the list" in web.get(f"/settings/tokens/{row.pk}/revoke/").content.decode()


def test_a_person_sees_and_revokes_their_own_tokens_only(stranger_web: Client, person: User) -> None:
    row, _ = ApiToken.objects.create(user=person, name="Nightly export")
    assert "Nightly export" not in stranger_web.get(LIST).content.decode()
    assert stranger_web.post(f"/settings/tokens/{row.pk}/revoke/").status_code == 404
    assert ApiToken.objects.exists()


def test_the_list_costs_the_same_queries_for_one_token_as_for_many(web: Client, person: User) -> None:
    ApiToken.objects.create(user=person)
    web.get(LIST)
    with CaptureQueriesContext(connection) as one:
        web.get(LIST)
    for _ in range(8):
        ApiToken.objects.create(user=person)
    with CaptureQueriesContext(connection) as many:
        web.get(LIST)
    assert len(many) == len(one)


def test_an_operator_revokes_from_the_list_and_leaves_a_row_in_the_log(person: User) -> None:
    staff = User.objects.create_superuser("staff@example.com", "correct horse battery")
    desk = Client()
    desk.force_login(staff)
    row, _ = ApiToken.objects.create(user=person, name="Nightly export")
    assert f"{row.token_key}..." in desk.get("/admin/kernel/apitoken/").content.decode()
    desk.post("/admin/kernel/apitoken/", {"action": "revoke", "_selected_action": [row.pk]})
    assert not ApiToken.objects.exists()
    assert staff.logentry_set.get().change_message == "Revoked."
