"""Connections by the REST API: a program makes one, a person signs in, the program sees it."""

from urllib.parse import urlsplit

import pytest

from brokerhub.kernel.models import KeyedRequest, Scope
from connections.models import Connection, OfferedAccount
from sync.models import SyncRun

CONNECTIONS = "/api/v1/brokerage/connections"
INITIATE, COMPLETE = "/api/v1/brokerage/oauth/initiate", "/api/v1/brokerage/oauth/complete"
METHODS = "/api/v1/brokerage/methods"
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


def test_access_that_is_never_renewed_is_left_alone(api, caller, connect_coins, unpaced):
    connection = connect_coins(caller)
    refused = api.post(f"{CONNECTIONS}/{connection.pk}/refresh")
    assert (refused.status_code, refused.data["code"]) == (409, "conflict")
    connection.refresh_from_db()
    assert connection.state == "connected", "asking for a renewal does not end what works"


def test_what_happened_can_be_read(api, caller, connect):
    connection = connect(caller, "james")
    events = api.get(f"{CONNECTIONS}/{connection.pk}/events").data["results"]
    assert [(event["action"], event["actor"]) for event in events] == [("signed_in", "person"), ("created", "person")]
    assert events[0]["words"] == "Connected"


# --- A program alone --------------------------------------------------------------------------------------------------
def test_a_program_goes_the_whole_way(api, sandbox):
    made = api.post(CONNECTIONS, WANTED).data
    begun = api.post(INITIATE, {"connection": made["id"]}).data
    landed = sandbox.sign_in(begun["authorization_url"], "james")
    done = api.post(COMPLETE, {"address": landed})
    assert (done.status_code, done.data["id"], done.data["state"]) == (200, made["id"], "connected")
    assert len(done.data["accounts"]) == 1
    assert api.post(COMPLETE, {"address": landed}).data["code"] == "sign_in_failed", "it is good once"
    [listed] = api.get(f"{CONNECTIONS}?broker=schwab&state=connected&method=schwab_oauth").data["results"]
    assert listed["id"] == made["id"]
    here = f"{CONNECTIONS}/{made['id']}"
    assert api.post(f"{here}/refresh").data["state"] == "connected"
    assert [event["action"] for event in api.get(f"{here}/events").data["results"]] == ["signed_in", "created"]
    assert api.delete(f"{here}?history=keep").data["history"] == "keep"
    assert api.get(here).data["state"] == "disconnected"


def test_a_no_at_the_broker_is_told_as_one(api, sandbox):
    made = api.post(CONNECTIONS, WANTED).data
    begun = api.post(INITIATE, {"connection": made["id"]}).data
    answer = api.post(COMPLETE, {"address": sandbox.sign_in(begun["authorization_url"], deny=True)})
    assert (answer.status_code, answer.data["code"]) == (400, "consent_denied")
    assert api.get(f"{CONNECTIONS}/{made['id']}").data["reason"]["code"] == "consent_denied"


def test_what_was_begun_in_a_browser_is_not_finished_by_a_program(api, caller, sign_up, sandbox):
    made = api.post(CONNECTIONS, WANTED).data
    browser = sign_up(caller)
    page = browser.post(f"/connections/{made['id']}/sign-in/", headers={"HX-Request": "true"})
    landed = sandbox.sign_in(page.headers["HX-Redirect"])
    assert api.post(COMPLETE, {"address": landed}).data["code"] == "sign_in_failed"


@pytest.mark.parametrize("address", ["nonsense", "https://[", "https://127.0.0.1:8182/?state=x&code=y"])
def test_an_address_that_leads_nowhere_is_refused(api, address):
    answer = api.post(COMPLETE, {"address": address})
    assert (answer.status_code, answer.data["code"]) == (400, "sign_in_failed")


def test_the_ways_to_connect_say_what_they_tell_and_what_is_missing(api, settings):
    settings.ALPACA_CLIENT_ID = ""
    ways = {way["method"]: way for way in api.get(METHODS).data}
    assert "robinhood_login" not in ways, "the unofficial login is switched off"
    robinhood = {each["topic"]: each["words"] for each in ways["robinhood_oauth"]["deliveries"]}
    assert robinhood["positions"] == "Yes"
    assert robinhood["dividends"] in ("By file only", "Not this way")
    assert (ways["schwab_oauth"]["kind"], ways["schwab_oauth"]["is_ready"]) == ("redirect", True)
    assert (ways["ibkr_flex"]["kind"], ways["ibkr_keys"]["history_by"]) == ("keys", "ibkr_flex")
    assert [field["name"] for field in ways["ibkr_flex"]["fields_asked"]] == ["token", "query_id"]
    assert "ALPACA_CLIENT_ID" in ways["alpaca_oauth"]["missing"]
    assert not ways["alpaca_oauth"]["is_ready"]


def test_keys_connect_and_a_wrong_one_is_named(api, flex_keys, unpaced):
    made = api.post(CONNECTIONS, {"broker": "ibkr", "method": "ibkr_flex"}).data
    keys = f"{CONNECTIONS}/{made['id']}/keys"
    assert [field["name"] for field in api.get(keys).data["fields_asked"]] == ["token", "query_id"]
    empty = api.post(keys, {"keys": {"token": flex_keys["token"]}})
    assert (empty.status_code, empty.data["attr"], empty.data["code"]) == (400, "keys.query_id", "required")
    wrong = api.post(keys, {"keys": flex_keys | {"token": "not a token"}})
    assert (wrong.status_code, wrong.data["attr"], wrong.data["code"]) == (400, "keys.token", "keys_refused")
    assert api.get(f"{CONNECTIONS}/{made['id']}").data["state"] == "pending_auth"
    assert api.post(keys, {"keys": flex_keys}).data["state"] == "connected"


def test_a_key_pair_is_made_once_and_shown_until_it_is_used(api, sandbox, unpaced):
    made = api.post(CONNECTIONS, {"broker": "robinhood", "method": "robinhood_crypto"}).data
    keys = f"{CONNECTIONS}/{made['id']}/keys"
    [shown] = api.get(keys).data["shown"]
    assert api.get(keys).data["shown"] == [shown]
    given = sandbox.control("robinhood/keys", login="maria", public_key=shown["value"])
    assert api.post(keys, {"keys": {"api_key": given["api_key"]}}).data["state"] == "connected"


def test_questions_are_answered_one_after_the_other(api, sandbox, settings, unpaced):
    settings.ROBINHOOD_PRIVATE_LOGIN = True
    sandbox.control("robinhood/logins", login="maria", way="sms")
    made = api.post(CONNECTIONS, {"broker": "robinhood", "method": "robinhood_login"}).data
    keys = f"{CONNECTIONS}/{made['id']}/keys"
    login = {"keys": {"username": "maria@example.test", "password": "sandbox"}}
    asked = api.post(keys, login, headers={"Idempotency-Key": "one"})
    assert asked.status_code == 202
    assert [field["name"] for field in asked.data["fields_asked"]] == ["code"]
    replayed = api.post(keys, login, headers={"Idempotency-Key": "one"})
    assert replayed.json() == asked.json(), "no second question is asked, and no second message sent"
    kept = bytes(KeyedRequest.objects.get().sealed_answer)
    assert kept
    assert b"sandbox" not in kept
    assert asked.data["dialogue"].encode() not in kept
    answer = {"keys": {"code": "000000"}, "dialogue": asked.data["dialogue"]}
    again = api.post(keys, answer)
    assert (again.status_code, "not right" in again.data["text"]) == (202, True)
    done = api.post(keys, {"keys": {"code": "123456"}, "dialogue": again.data["dialogue"]})
    assert (done.status_code, done.data["state"]) == (200, "connected")
    stale = api.post(keys, answer | {"dialogue": "tampered"})
    assert (stale.status_code, stale.data["code"]) == (400, "sign_in_failed")


def test_a_sign_in_page_takes_no_keys_and_has_none(api, caller, connect):
    connection = connect(caller, "james")
    keys = f"{CONNECTIONS}/{connection.pk}/keys"
    assert api.get(keys).data["fields_asked"] == []
    assert api.post(keys, {"keys": {"token": "1"}}).status_code == 409
    assert api.post(f"{CONNECTIONS}/{connection.pk}/history-keys", {"keys": {"token": "1"}}).status_code == 409


def test_transactions_come_by_a_flex_query_added_later(api, caller, connect_ibkr, flex_keys, unpaced):
    connection = connect_ibkr(caller)
    history = f"{CONNECTIONS}/{connection.pk}/history-keys"
    wrong = api.post(history, {"keys": flex_keys | {"token": "123456789012345678901234"}})
    assert (wrong.status_code, api.get(f"{CONNECTIONS}/{connection.pk}").data["history_method"]) == (400, None)
    assert api.post(history, {"keys": flex_keys}).data["history_method"] == "ibkr_flex"


@pytest.mark.parametrize(("add", "left"), [(True, []), (False, ["Opened later"])])
def test_an_offered_account_is_added_or_left_out(api, caller, connect, add, left):
    connection = connect(caller, "james")
    SyncRun.objects.all().delete()
    offered = OfferedAccount.objects.create(connection=connection, external_id="new", name="Opened later")
    assert [account["name"] for account in api.get(CONNECTIONS).data["results"][0]["offered_accounts"]]
    answer = api.post(f"{CONNECTIONS}/{connection.pk}/accounts/{offered.pk}", {"add": add})
    assert answer.status_code == 200
    assert len(answer.data["accounts"]) == (2 if add else 1)
    assert [account["name"] for account in answer.data["offered_accounts"]] == left
    assert all(account["declined_at"] for account in answer.data["offered_accounts"])


def test_an_administrators_act_is_told_as_one(api, caller, connect, stranger):
    from connections import admin_actions

    connection = connect(caller, "james")
    admin_actions.mark_for_sign_in(connection, actor=stranger)
    newest = api.get(f"{CONNECTIONS}/{connection.pk}/events").data["results"][0]
    assert (newest["actor"], newest["action"]) == ("admin", "marked_for_sign_in")
