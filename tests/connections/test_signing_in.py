"""Connecting Schwab by the pages a person uses, against the sandbox's sign-in."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone

from connections import connection_manager
from connections.brokers.calls import call_finished
from connections.models import Authorization, Connection
from connections.states import ConnectionState

NEW, LIST = reverse("connections:new"), reverse("connections:list")


def begin(web, method="schwab_oauth"):
    """The broker's address the hub sends this browser to."""
    answer = web.post(NEW, {"method": method}, HTTP_HX_REQUEST="true")
    assert answer.status_code == 200
    return answer["HX-Redirect"]


def land(web, address):
    parts = urlsplit(address)
    assert parts.path.rstrip("/") == "/connections/callback/schwab"
    return web.get(f"{parts.path.rstrip('/')}?{parts.query}")


def test_a_person_connects_and_sees_both_accounts(web, person, sandbox):
    answer = land(web, sandbox.sign_in(begin(web)))
    assert answer.status_code == 302
    connection = Connection.objects.get(user=person)
    assert connection.state == ConnectionState.CONNECTED
    assert {account.name for account in connection.accounts.all()} == {"Individual", "Rollover IRA"}
    shown = web.get(LIST).content.decode()
    assert "Individual" in shown
    assert "Rollover IRA" in shown
    assert "Connected" in shown


def test_without_javascript_a_link_leads_to_the_broker(web, sandbox):
    shown = web.post(NEW, {"method": "schwab_oauth"})
    assert shown.status_code == 200
    assert f'href="{sandbox.schwab_url}/v1/oauth/authorize?' in shown.content.decode().replace("&amp;", "&")


def test_only_ticked_accounts_are_connected(web, person, sandbox):
    number = sandbox.truth()["accounts"][0]["number"]
    land(web, sandbox.sign_in(begin(web), accounts=[number]))
    [account] = Connection.objects.get(user=person).accounts.all()
    assert number.endswith(account.mask)
    assert len(account.mask) < len(number)


def test_declining_stores_nothing_and_says_what_to_do(web, person, sandbox):
    answer = land(web, sandbox.sign_in(begin(web), deny=True))
    assert answer.status_code == 400
    assert "You declined access" in answer.content.decode()
    connection = Connection.objects.get(user=person)
    assert (connection.state, connection.reason_code) == ("pending_auth", "consent_denied")
    assert not connection.sealed_credentials
    assert not connection.accounts.exists()


def test_a_way_back_is_good_once(web, sandbox):
    back = sandbox.sign_in(begin(web))
    assert land(web, back).status_code == 302
    again = land(web, back)
    assert again.status_code == 400
    assert "connect once more" in again.content.decode()


def test_another_person_cannot_use_a_way_back(web, stranger_web, stranger, sandbox):
    answer = land(stranger_web, sandbox.sign_in(begin(web)))
    assert answer.status_code == 400
    assert not Connection.objects.filter(user=stranger).exists()


def test_another_browser_of_the_same_person_cannot_use_a_way_back(web, person, sign_up, sandbox):
    answer = land(sign_up(person), sandbox.sign_in(begin(web)))
    assert answer.status_code == 400
    assert Connection.objects.get(user=person).state == ConnectionState.PENDING_AUTH


def test_a_stranger_to_the_hub_is_asked_to_sign_in_first(client, web, sandbox):
    back = land(client, sandbox.sign_in(begin(web)))
    assert back.status_code == 302
    assert back["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize("query", ["", "code=x", "state=x", "code=x&state=x", "error=access_denied&state=unknown"])
def test_an_invented_way_back_leads_nowhere(web, query):
    answer = web.get(f"/connections/callback/schwab?{query}")
    assert answer.status_code == 400


def test_an_error_of_the_broker_is_not_called_the_persons_no(web, person, sandbox):
    state = parse_qs(urlsplit(begin(web)).query)["state"][0]
    answer = web.get("/connections/callback/schwab", {"state": state, "error": "temporarily_unavailable"})
    assert answer.status_code == 400
    words = answer.content.decode()
    assert "You declined" not in words
    assert "connect once more later" in words
    assert Connection.objects.get(user=person).reason_code == "not_signed_in"


def test_a_way_back_of_another_broker_is_refused(web, person, sandbox):
    back = urlsplit(sandbox.sign_in(begin(web)))
    assert web.get(f"/connections/callback/other?{back.query}").status_code == 400
    assert Connection.objects.get(user=person).state == ConnectionState.PENDING_AUTH


def test_a_connection_erased_during_its_sign_in_is_told_so(web, person, sandbox):
    back = sandbox.sign_in(begin(web))

    def erase(call, **_):
        connection = Connection.objects.filter(user=person).first()
        if connection is not None:
            connection_manager.disconnect(connection=connection, actor=person, keep_history=False)

    call_finished.connect(erase, weak=False, dispatch_uid="erase")
    try:
        answer = land(web, back)
    finally:
        call_finished.disconnect(dispatch_uid="erase")
    assert answer.status_code == 400
    assert "removed during the sign-in" in answer.content.decode()
    assert not Connection.objects.exists()


@pytest.mark.parametrize("pasted", ["http://[", "https://[x]/?code=1"])
def test_what_is_no_address_is_asked_for_again(web, pasted):
    answer = web.post(reverse("connections:paste", args=["schwab"]), {"address": pasted})
    assert answer.status_code == 200
    assert "not a web address" in answer.content.decode()


def test_a_code_that_got_too_old_is_told_so(web, person, sandbox):
    back = sandbox.sign_in(begin(web))
    sandbox.advance(31)
    answer = land(web, back)
    assert answer.status_code == 502
    assert "too old or already used" in answer.content.decode()
    assert Connection.objects.get(user=person).state == ConnectionState.PENDING_AUTH


def test_a_sign_in_that_took_too_long_is_refused(web, sandbox, settings):
    back = sandbox.sign_in(begin(web))
    Authorization.objects.update(expires_at="2020-01-01T00:00:00Z")
    assert "longer than" in land(web, back).content.decode()


def test_keys_changed_during_a_sign_in_ask_to_begin_again(web, sandbox, settings):
    back = sandbox.sign_in(begin(web))
    settings.CREDENTIALS_KEYS = {"other": b"x" * 32}
    answer = land(web, back)
    assert answer.status_code == 400
    assert "connect once more" in answer.content.decode()


def test_sign_ins_of_long_ago_are_not_kept(web, sandbox):
    begin(web)
    old = Authorization.objects.get()
    Authorization.objects.update(expires_at=timezone.now() - timedelta(days=2))
    begin(web)
    assert Authorization.objects.get().pk != old.pk


def test_connecting_the_same_login_again_gives_the_same_connection(web, person, sandbox):
    land(web, sandbox.sign_in(begin(web)))
    first = Connection.objects.get(user=person)
    accounts = set(first.accounts.values_list("pk", flat=True))
    land(web, sandbox.sign_in(begin(web)))
    second = Connection.objects.get(user=person)
    assert second.pk == first.pk
    assert set(second.accounts.values_list("pk", flat=True)) == accounts


def test_a_second_login_becomes_a_second_connection(web, person, sandbox):
    land(web, sandbox.sign_in(begin(web)))
    land(web, sandbox.sign_in(begin(web), login="james"))
    connected = Connection.objects.filter(user=person, state=ConnectionState.CONNECTED).order_by("created_at")
    assert [connection.label for connection in connected] == ["Charles Schwab", "Charles Schwab 2"]


def test_renewing_with_another_login_is_refused_with_both_masks(web, person, sandbox):
    land(web, sandbox.sign_in(begin(web)))
    connection = Connection.objects.get(user=person)
    url = web.post(reverse("connections:sign_in", args=[connection.pk]), HTTP_HX_REQUEST="true")["HX-Redirect"]
    answer = land(web, sandbox.sign_in(url, login="james"))
    assert answer.status_code == 409
    words = answer.content.decode()
    for mask in connection.accounts.values_list("mask", flat=True):
        assert f"...{mask}" in words
    connection.refresh_from_db()
    assert connection.state == ConnectionState.CONNECTED


def test_the_address_can_be_pasted_when_the_callback_leads_to_no_page(web, person, sandbox, settings):
    settings.SCHWAB_CALLBACK_URL = "https://127.0.0.1:8182"
    back = sandbox.sign_in(begin(web))
    assert back.startswith("https://127.0.0.1:8182/?code=")
    assert reverse("connections:paste", args=["schwab"]) in web.get(NEW).content.decode()
    answer = web.post(reverse("connections:paste", args=["schwab"]), {"address": f" {back}\n"})
    assert answer.status_code == 302
    assert Connection.objects.get(user=person).state == ConnectionState.CONNECTED


def test_a_broker_that_is_not_set_up_says_so(web, settings):
    settings.SCHWAB_APP_KEY = ""
    answer = web.post(NEW, {"method": "schwab_oauth"})
    assert answer.status_code == 409
    assert "not set up here yet" in answer.content.decode()


def test_a_wrong_app_secret_is_the_administrators_matter(web, person, sandbox, settings):
    back = sandbox.sign_in(begin(web))
    settings.SCHWAB_APP_SECRET = "not0the0secret00"
    answer = land(web, back)
    assert answer.status_code == 502
    assert "administrator" in answer.content.decode()
    assert "not0the0secret00" not in answer.content.decode()


def test_what_happened_is_written_down(web, person, sandbox):
    land(web, sandbox.sign_in(begin(web)))
    connection = Connection.objects.get(user=person)
    actions = [event.action for event in connection.events.order_by("pk")]
    assert actions == ["created", "signed_in"]
    shown = web.get(reverse("connections:detail", args=[connection.pk])).content.decode()
    assert "Connected" in shown


@pytest.mark.parametrize(
    ("method", "nonsense"),
    [
        ("schwab_oauth", {"oauth_verifier": "x"}),
        ("alpaca_oauth", {"oauth_verifier": "x"}),
        ("robinhood_oauth", {"code": ""}),
        ("ibkr_oauth", {"code": "x"}),
    ],
)
def test_a_way_back_without_what_the_broker_gives_is_told_in_words(web, person, ibkr_app, method, nonsense):
    sent = parse_qs(urlsplit(begin(web, method)).query)
    named = {name: sent[name][0] for name in ("state", "oauth_token") if name in sent}
    connection = Connection.objects.get(user=person)
    answer = web.get(reverse("connections:callback", args=[connection.broker]), named | nonsense)
    assert answer.status_code == 400
    assert "nothing was connected" in answer.content.decode()


def test_a_sign_in_named_by_the_wrong_parameter_is_refused(web, person, ibkr_app):
    [token] = parse_qs(urlsplit(begin(web, "ibkr_oauth")).query)["oauth_token"]
    answer = web.get(reverse("connections:callback", args=["ibkr"]), {"state": token, "oauth_verifier": "x"})
    assert answer.status_code == 400
    assert "connect once more" in answer.content.decode()
