"""Connections by the REST API: a program makes one, a person signs in, the program sees it."""

from urllib.parse import urlsplit

import pytest

from brokerhub.kernel.models import Scope
from connections.models import Connection

CONNECTIONS = "/api/v1/brokerage/connections"
INITIATE = "/api/v1/brokerage/oauth/initiate"
WANTED = {"broker": "schwab", "method": "schwab_oauth"}


def test_a_program_begins_and_a_person_finishes(api, caller, sign_up, sandbox):
    made = api.post(CONNECTIONS, WANTED)
    assert made.status_code == 201
    assert (made.data["state"], made.data["next_action"]) == ("pending_auth", "oauth_initiate")
    begun = api.post(INITIATE, {"connection": made.data["id"]})
    assert begun.status_code == 200
    back = urlsplit(sandbox.sign_in(begun.data["authorization_url"]))
    assert sign_up(caller).get(f"{back.path}?{back.query}").status_code == 302
    seen = api.get(f"{CONNECTIONS}/{made.data['id']}").data
    assert (seen["state"], seen["next_action"], len(seen["accounts"])) == ("connected", None, 2)


def test_asking_twice_gives_the_same_waiting_connection(api):
    assert api.post(CONNECTIONS, WANTED).data["id"] == api.post(CONNECTIONS, WANTED).data["id"]


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({}, "broker"),
        ({"broker": "nobody", "method": "schwab_oauth"}, "broker"),
        ({"broker": "schwab", "method": "x"}, "method"),
    ],
)
def test_a_wrong_request_names_the_field(api, body, attr):
    answer = api.post(CONNECTIONS, body)
    assert answer.status_code == 400
    assert answer.data["attr"] == attr


def test_the_list_can_be_narrowed(api, caller):
    api.post(CONNECTIONS, WANTED)
    assert len(api.get(f"{CONNECTIONS}?state=pending_auth").data["results"]) == 1
    assert api.get(f"{CONNECTIONS}?state=connected").data["results"] == []
    assert api.get(f"{CONNECTIONS}?state=nonsense").status_code == 400


def test_no_answer_holds_a_secret(api, caller, connect):
    connection = connect(caller)
    text = api.get(CONNECTIONS).content.decode() + api.get(f"{CONNECTIONS}/{connection.pk}").content.decode()
    for secret in connection.read_credentials().values():
        assert secret not in text
    assert "40012345" not in text, "account numbers are masked"


def test_disconnecting_answers_with_a_receipt(api, caller, connect):
    connection = connect(caller, "james")
    answer = api.delete(f"{CONNECTIONS}/{connection.pk}?history=erase")
    assert answer.status_code == 200
    assert (answer.data["history"], answer.data["rows"]["accounts"]) == ("erase", 1)
    assert "schwab.com" in answer.data["left_to_do"]
    assert not Connection.objects.exists()


def test_an_unclear_wish_about_the_history_changes_nothing(api, caller, connect):
    connection = connect(caller, "james")
    assert api.delete(f"{CONNECTIONS}/{connection.pk}?history=maybe").status_code == 400
    connection.refresh_from_db()
    assert connection.state == "connected"


def test_a_stranger_gets_404(token_client, stranger, caller, connect):
    connection = connect(caller, "james")
    theirs = token_client(stranger)
    assert theirs.get(f"{CONNECTIONS}/{connection.pk}").status_code == 404
    assert theirs.delete(f"{CONNECTIONS}/{connection.pk}").status_code == 404
    assert theirs.post(INITIATE, {"connection": str(connection.pk)}).status_code == 404
    assert theirs.get(CONNECTIONS).data["results"] == []


def test_reading_needs_its_scope_and_writing_another(token_client, caller):
    reader = token_client(caller, Scope.CONNECTIONS_READ)
    assert reader.get(CONNECTIONS).status_code == 200
    assert reader.post(CONNECTIONS, WANTED).status_code == 403


def test_a_dry_run_counts_and_changes_nothing(api, caller, connect):
    connection = connect(caller, "james")
    answer = api.delete(f"{CONNECTIONS}/{connection.pk}?history=erase&dry_run=1")
    assert (answer.status_code, answer.data["dry_run"], answer.data["rows"]["accounts"]) == (200, True, 1)
    connection.refresh_from_db()
    assert connection.state == "connected"
    assert api.delete(f"{CONNECTIONS}/{connection.pk}?dry_run=perhaps").status_code == 400


def test_a_connection_gets_another_name(api, caller, connect):
    connection = connect(caller, "james")
    assert api.patch(f"{CONNECTIONS}/{connection.pk}", {"label": "Retirement"}).data["label"] == "Retirement"
    assert api.patch(f"{CONNECTIONS}/{connection.pk}", {"label": ""}).status_code == 400
    connection.refresh_from_db()
    assert connection.label == "Retirement"


def test_access_is_renewed_on_request(api, caller, connect, sandbox):
    connection = connect(caller, "james")
    before = connection.read_credentials()["access_token"]
    assert api.post(f"{CONNECTIONS}/{connection.pk}/refresh").status_code == 200
    connection.refresh_from_db()
    assert connection.read_credentials()["access_token"] != before
    sandbox.end_tokens("james", revoke=True)
    refused = api.post(f"{CONNECTIONS}/{connection.pk}/refresh")
    assert (refused.status_code, refused.data["code"]) == (409, "needs_reauth")


def test_what_happened_can_be_read(api, caller, connect):
    connection = connect(caller, "james")
    events = api.get(f"{CONNECTIONS}/{connection.pk}/events").data["results"]
    assert [(event["action"], event["actor"]) for event in events] == [("signed_in", "person"), ("created", "person")]
    assert events[0]["words"] == "Connected"
