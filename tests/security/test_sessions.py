"""A session begins anew at each sign-in, ends by itself and by signing out, and its cookie goes nowhere else."""

import json
import subprocess
import sys
import time

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from brokerhub.kernel.models import User
from tests.kernel.test_settings import PRODUCTION

LOGIN, LOGOUT, INSIDE = "/accounts/login/", "/accounts/logout/", "/settings/"
PASSWORD = "correct horse battery"
HOUR = 3600


def sign_in(client, user):
    assert client.post(LOGIN, {"login": user.email, "password": PASSWORD}).status_code == 302
    return client.cookies["sessionid"].value


@pytest.fixture
def clock(monkeypatch):
    """Moves the time that sessions are measured by, in seconds."""
    shift = [0.0]
    real = time.time
    monkeypatch.setattr("brokerhub.sessions.time.time", lambda: real() + shift[0])

    def move(seconds):
        shift[0] += seconds

    return move


def test_a_sign_in_starts_a_new_session(caller):
    client = Client()
    client.post("/preferences/theme", {"theme": "dark"})
    session = client.session
    session["planted"] = "by somebody who knows this session's name"
    session.save()
    planted = str(session.session_key)
    client.cookies["sessionid"] = planted
    assert sign_in(client, caller) != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_who_proves_again_who_they_are_goes_on_under_a_new_key(caller):
    client, thief = Client(), Client()
    thief.cookies["sessionid"] = before = sign_in(client, caller)
    client.post("/accounts/reauthenticate/", {"password": "wrong"})
    assert client.cookies["sessionid"].value == before
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert client.cookies["sessionid"].value != before
    assert client.get(INSIDE).status_code == 200
    assert thief.get(INSIDE).status_code == 302
    listed = client.get("/accounts/sessions/").context["sessions"]
    assert [row.session_key for row in listed] == [client.cookies["sessionid"].value], "still one device"


def test_two_sign_ins_are_two_sessions(caller):
    client = Client()
    first = sign_in(client, caller)
    client.post(LOGOUT)
    assert sign_in(client, caller) != first


def test_signing_out_ends_the_session_itself(caller):
    client, thief = Client(), Client()
    thief.cookies["sessionid"] = sign_in(client, caller)
    assert thief.get(INSIDE).status_code == 200
    answer = client.post(LOGOUT)
    assert answer["Clear-Site-Data"] == '"cache"'
    assert thief.get(INSIDE).status_code == 302


def test_a_link_cannot_sign_anybody_out(caller):
    client = Client()
    sign_in(client, caller)
    client.get(LOGOUT)
    assert client.get(INSIDE).status_code == 200


def test_an_idle_session_ends(caller, clock):
    client = Client()
    sign_in(client, caller)
    clock(11 * HOUR)
    assert client.get(INSIDE).status_code == 200
    clock(11 * HOUR)
    assert client.get(INSIDE).status_code == 200
    clock(13 * HOUR)
    ended = client.get(INSIDE)
    assert ended["Location"] == "/accounts/login/?next=/settings/"
    assert "Clear-Site-Data" in ended


def test_a_page_that_renews_itself_is_not_a_person_at_work(caller, clock):
    client = Client()
    sign_in(client, caller)
    for _ in range(3):
        clock(5 * HOUR)
        last = client.get("/health/widget", headers={"HX-Request": "true"})
    assert last["HX-Redirect"].startswith(LOGIN)


def test_no_session_lives_for_ever(caller, clock):
    client = Client()
    sign_in(client, caller)
    for _ in range(16):
        clock(10 * HOUR)
        assert client.get(INSIDE).status_code == 200
    clock(9 * HOUR)
    assert client.get(INSIDE).status_code == 302


def test_a_request_does_not_write_its_session_each_time(caller):
    client = Client()
    sign_in(client, caller)
    client.get(INSIDE)
    before = Session.objects.get().session_data
    client.get(INSIDE)
    assert Session.objects.get().session_data == before


def test_a_new_password_ends_the_other_sessions(caller):
    here, elsewhere = Client(), Client()
    sign_in(here, caller)
    sign_in(elsewhere, caller)
    new = "three green umbrellas"
    here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert here.get(INSIDE).status_code == 200
    assert elsewhere.get(INSIDE).status_code == 302


def test_an_account_that_is_switched_off_is_out_at_once(caller):
    client = Client()
    sign_in(client, caller)
    User.objects.filter(pk=caller.pk).update(is_active=False)
    assert client.get(INSIDE).status_code == 302


def test_the_session_cookie_is_for_the_server_only(caller):
    client = Client()
    sign_in(client, caller)
    for name in ("sessionid", "csrftoken"):
        cookie = client.cookies[name]
        assert (cookie["httponly"], cookie["samesite"], cookie["domain"]) == (True, "Lax", "")
    client.post("/preferences/theme", {"theme": "dark"})
    assert (client.cookies["theme"]["httponly"], client.cookies["theme"]["samesite"]) == (True, "Lax")


IN_PRODUCTION = """
import django, json
from django.conf import settings
settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
django.setup()
from django.test import Client
client = Client(HTTP_HOST="hub.example.com", raise_request_exception=False)
over_tls = client.get("/accounts/login/", secure=True)
theme = client.post("/preferences/theme", {"theme": "dark"}, secure=True)
plain = client.get("/accounts/login/")
api = client.get("/api/v1/brokers/accounts")
strange = Client(HTTP_HOST="evil.example", raise_request_exception=False).get("/accounts/login/", secure=True)
cookies = {name: dict(cookie) for name, cookie in client.cookies.items()}
print(json.dumps({
    "headers": dict(over_tls.headers), "plain": [plain.status_code, plain["Location"]],
    "api": [api.status_code, api.json().get("code"), api.get("Location", "")], "strange": strange.status_code,
    "cookies": cookies,
    "names": [settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME],
    "flags": [settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE],
}))
"""


def test_in_production_cookies_and_requests_are_bound_to_this_host_and_to_tls(hub_environment):
    environment = {name: value for name, value in hub_environment.items() if name != "DJANGO_ALLOW_ASYNC_UNSAFE"}
    done = subprocess.run(
        [sys.executable, "-c", IN_PRODUCTION],
        env=environment | PRODUCTION | {"DJANGO_SETTINGS_MODULE": "brokerhub.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["names"] == ["__Host-sessionid", "__Host-csrftoken"]
    assert said["flags"] == [True, True]
    assert set(said["cookies"]) == {"__Host-csrftoken", "__Host-theme"}
    for cookie in said["cookies"].values():
        assert (cookie["secure"], cookie["httponly"], cookie["path"], cookie["domain"]) == (True, True, "/", "")
    assert said["headers"]["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert said["plain"] == [301, "https://hub.example.com/accounts/login/"]
    assert said["api"] == [403, "https_required", ""], "a redirect would hide that a token was sent in the clear"
    assert said["strange"] == 400, "another host's name"
