"""What looks like a secret never reaches a log line; what does not stays readable."""

import json
import logging
import string

import pytest
import structlog
from django.conf import settings
from django.test import Client
from hypothesis import assume, given
from hypothesis import strategies as st

from brokerhub.kernel.logs import HIDDEN, hide_secrets, redact

CODE = "C0.b2F1dGgyLmNkYy5zY2h3YWIuY29t.Zz0aa11bb22cc33dd44ee55ff66gg77hh88ii99jj"
ACCESS = "I0.b2F1dGgyLmJkYy5zY2h3YWIuY29t.Zz0aa11bb22cc33dd44ee55ff66gg77hh88ii99jj0k@"
REFRESH = "k3Yt-9QAzz81LmQ0pPq_7vXw2cNn5bT6hJ4rE1sD8fG0aKlM3uVyZxC9oIiBQ@"
SESSION = "3f1c5a52-7a6e-4a57-9a0e-0f6f0d1f8f11"
STATE = "wJ8kq2Zt5vLx0nRb3yHc7mPd"
BASIC = "c2FuZGJveDBzY2h3YWI6c2FuZGJveHNlY3JldDAwMQ=="
HUB = "hub_" + "0123456789abcdef" * 4

LEAKS = [
    (f"Authorization: Bearer {ACCESS}", ACCESS),
    (f"authorization: bearer {ACCESS}", ACCESS),
    (f"{{'Authorization': 'Bearer {ACCESS}', 'Accept': '*/*'}}", ACCESS),
    (f'{{"Authorization":"Basic {BASIC}"}}', BASIC),
    (f"{{b'Authorization': b'Basic {BASIC}'}}", BASIC),
    (f"Basic {BASIC} was refused", BASIC),
    (f"Authorization: {HUB}", HUB),
    (f"sent {HUB} there", HUB),
    (f"redeeming {CODE}@ failed", CODE),
    (f"GET /connections/callback/schwab?code={CODE}%40&session={SESSION}&state={STATE}", CODE),
    (f"GET /connections/callback/schwab?code={CODE}%40&session={SESSION}&state={STATE}", SESSION),
    (f"GET /connections/callback/schwab?code={CODE}%40&session={SESSION}&state={STATE}", STATE),
    (f"GET /c?error=access_denied&state={STATE}", STATE),
    (f"GET /accounts/login/?next=/connections/callback/schwab%3Fcode%3Dabc123%2540%26state%3D{STATE}", STATE),
    (f"GET /accounts/login/?next=%252Fcallback%253Fstate%253D{STATE}", STATE),
    (f"grant_type=refresh_token&refresh_token={REFRESH}", REFRESH),
    (f"grant_type=authorization_code&code={REFRESH}&redirect_uri=https://127.0.0.1", REFRESH),
    (f"code={REFRESH}", REFRESH),
    (f'{{"token_type":"Bearer","refresh_token":"{REFRESH}","access_token":"{ACCESS}"}}', REFRESH),
    (f'{{"expires_in": 1800, "refresh_token": "{REFRESH}"}}', REFRESH),
    (f"{{'refresh_token': '{REFRESH}'}}", REFRESH),
    (f'{{\\"refresh_token\\": \\"{REFRESH}\\"}}', REFRESH),
    (f"{{'code': '{STATE}', 'state': 'x'}}", STATE),
    (f'{{"state": "{STATE}"}}', STATE),
    ('{"password": "with space, comma & \\" quote"}', "quote"),
    ("password='two words' host=db", "words"),
    ("connection failed: password=hunter2 host=db", "hunter2"),
    ("postgresql://hub:hunter2@db.example/hub", "hunter2"),
    ("redis://:hunter2@cache:6379/0", "hunter2"),
    (f"Cookie: sessionid={STATE}; csrftoken=abc", STATE),
    (f"Set-Cookie: sessionid={STATE}; HttpOnly", STATE),
    (f"{{'Cookie': 'sessionid={STATE}; theme=dark'}}", STATE),
    ("id eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtYXJpYSJ9.c2lnbmF0dXJl here", "eyJzdWIiOiJtYXJpYSJ9"),
    ("GET /accounts/password/reset/key/1-d2k3f4-5a6b7c8d9e0f5a6b7c8d9e0f/", "5a6b7c8d9e0f5a6b7c8d9e0f"),
    (f"GET /accounts/confirm-email/MQ:1vNabc:{STATE}/", STATE),
    (f"signed with whsec_{BASIC}", BASIC),
    ("-----BEGIN PRIVATE KEY-----\nMIIEvQ\nIBADAN\n-----END PRIVATE KEY-----", "IBADAN"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEvQ cut off", "MIIEvQ"),
]

HARMLESS = [
    "GET /accounts/password/reset/key/1-set-password/ 200",
    "GET /accounts/password/reset/key/done/ 200",
    "GET /accounts/confirm-email/ 200",
    "refresh token rejected by Schwab",
    "the token endpoint answered 400",
    "Basic authentication is required",
    "Refresh token is invalid",
    "connection state changed from pending_auth to connected",
    '{"code": "service_unavailable", "state": "needs_reauth"}',
    "GET /portfolio/transactions?limit=100&symbol=AAPL",
    "GET https://api.schwabapi.com/trader/v1/accounts 200 in 0.213 s",
    "user maria@example.com has 3 sessions",
    "status code: 404",
    "I7.5 shares, C3 of 4",
]


@pytest.mark.parametrize(("text", "secret"), LEAKS)
def test_a_secret_in_text_is_hidden(text, secret):
    assert secret not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_lines_stay_as_they_are(text):
    assert redact(text) == text


@pytest.mark.parametrize(("text", "secret"), LEAKS)
def test_hiding_twice_changes_nothing_more(text, secret):
    assert redact(redact(text)) == redact(text)


def test_what_names_and_proves_an_oauth_1_sign_in_is_hidden():
    line = redact("GET /connections/callback/ibkr?oauth_token=6d4d5feeca80bcb8&oauth_verifier=61bd61d9&page=2")
    assert line == f"GET /connections/callback/ibkr?oauth_token={HIDDEN}&oauth_verifier={HIDDEN}&page=2"
    header = redact('oauth_signature="ab%2Fcd%3D", oauth_timestamp="1700000000"')
    assert header == f'oauth_signature={HIDDEN}, oauth_timestamp="1700000000"'


def test_what_surrounds_a_secret_stays_readable():
    line = redact(f"GET /connections/callback/schwab?code={CODE}%40&session={SESSION}&state={STATE}&page=2")
    assert line == f"GET /connections/callback/schwab?code={HIDDEN}&session={HIDDEN}&state={HIDDEN}&page=2"


TOKEN = st.text(string.ascii_letters + string.digits + "-_.~", min_size=20, max_size=80).filter(
    lambda token: any(letter.isdigit() for letter in token) and HIDDEN not in token
)
CARRIERS = st.sampled_from(
    [
        "Authorization: Bearer {}",
        "{{'Authorization': 'Token {}'}}",
        '{{"access_token": "{}", "scope": "api"}}',
        "refresh_token={}&grant_type=refresh_token",
        "https://127.0.0.1:8182/?code={}&state=x",
        "/accounts/login/?next=%2Fcallback%3Fcode%3D{}",
        "password={}",
        "https://user:{}@example.com/",
    ]
)


@given(CARRIERS, TOKEN, st.text(max_size=30), st.text(max_size=30))
def test_whatever_stands_around_it_a_token_in_a_known_place_is_hidden(carrier, token, before, after):
    assume(token not in before and token not in after)
    assert token not in redact(f"{before} {carrier.format(token)} {after}")


@given(
    st.recursive(
        st.text() | st.integers() | st.none() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_value_can_be_logged(value):
    said = hide_secrets(None, "info", {"event": "x", "value": value})
    assert said["event"] == "x"
    assert json.dumps(said["value"])


@pytest.mark.parametrize(
    "name",
    [
        "access_token",
        "Authorization",
        "password",
        "client_secret",
        "apiKey",
        "app_key",
        "Set-Cookie",
        "csrf",
        "code_verifier",
        "session_key",
    ],
)
@pytest.mark.parametrize("value", ["plain", b"plain", ["plain"], {"a": "plain"}, ("plain",), {"plain"}])
def test_values_with_a_secret_name_are_hidden_whole(name, value):
    assert hide_secrets(None, "info", {name: value}) == {name: HIDDEN}


def test_names_are_looked_at_in_every_depth():
    event = hide_secrets(None, "info", {"reply": [{"headers": {"Authorization": "xyz"}, "count": 3, "sent": None}]})
    assert event == {"reply": [{"headers": {"Authorization": HIDDEN}, "count": 3, "sent": None}]}


def test_a_thing_that_contains_itself_can_be_logged():
    loop: dict[str, object] = {}
    loop["again"] = loop
    assert HIDDEN in str(hide_secrets(None, "info", {"loop": loop}))


def test_objects_are_searched_in_their_spelled_form():
    error = ValueError(f"refused: Bearer {ACCESS}")
    assert ACCESS not in str(hide_secrets(None, "info", {"error": error}))


# --- Through the hub's own logging configuration ----------------------------------------------------------------------
@pytest.fixture
def lines(monkeypatch):
    """What the hub would print: its formatter with the JSON renderer on the root logger."""
    printed: list[str] = []

    class Printer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            printed.append(self.format(record))

    processors = settings.LOGGING["formatters"]["line"]["processors"][:-1]
    handler = Printer()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=settings.LOGGING["formatters"]["line"]["foreign_pre_chain"],
            processors=[*processors, structlog.processors.JSONRenderer()],
        )
    )
    root = logging.getLogger()
    root.addHandler(handler)
    yield printed
    root.removeHandler(handler)


def test_a_traceback_does_not_carry_the_token_that_broke_it(lines):
    try:
        raise ValueError(f"bad reply to Authorization: Bearer {ACCESS}")
    except ValueError:
        logging.getLogger("connections").exception("call failed with %s", f"refresh_token={REFRESH}")
        structlog.get_logger("connections").exception("call_failed", body={"access_token": ACCESS})
    assert len(lines) == 2
    assert all("ValueError: bad reply" in json.loads(line)["exception"] for line in lines)
    assert not [line for line in lines if ACCESS in line or REFRESH in line]


def test_the_access_log_of_the_oauth_callback_shows_no_code(lines, db):
    Client().get(f"/connections/callback/schwab?code={CODE}%40&session={SESSION}&state={STATE}", HTTP_USER_AGENT="x")
    printed = "\n".join(lines)
    assert "GET /connections/callback/schwab?code=[hidden]" in printed
    assert "request_started" in printed
    assert CODE not in printed
    assert SESSION not in printed
    assert STATE not in printed


def test_each_access_line_carries_the_requests_id(lines, db):
    Client().get("/healthz", HTTP_X_REQUEST_ID="job-42")
    assert {json.loads(line)["request_id"] for line in lines} == {"job-42"}
