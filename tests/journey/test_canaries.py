"""Secrets stay where they belong: one long story in which every kind comes into being, is used, refused and lost in a
crash; then they are searched for in all the hub says or keeps. Pages, API and administration are also searched as a
whole, with secrets in every row: tests/security/test_every_address.py.
"""

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.idp.oidc.models import Client as Registered
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from allauth.mfa.utils import decrypt
from django.conf import settings as hub
from django.contrib.admin import site
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from brokerhub.archive import writing
from brokerhub.kernel.models import ApiToken, User
from brokerhub.webhooks import tasks as webhook_tasks
from brokerhub.webhooks.models import Delivery, Endpoint
from connections import connection_manager
from connections.brokers.base import BrokerError
from connections.brokers.records import AuthMethod, Broker
from connections.models import Connection
from tests.identity.apps import BACK, App
from tests.journey.books import sync
from tests.journey.secrets import dumped, found, in_redis, sessions, spellings
from tests.plugins.sandbox_server import Sandbox
from tests.webhooks.receiver import Receiver, answer

PASSWORD = "a canary that sings in the mine"
PAGES = ["/", "/connections/", "/portfolio/", "/portfolio/transactions/", "/sync/", "/health/", "/settings/"]
PAGES += ["/compare/execution-quality/", "/compare/ratings/", "/compare/", "/compare/features/", "/compare/mine/"]
PAGES += ["/compare/match/", "/settings/tokens/", "/settings/webhooks/", "/settings/apps/", "/settings/app-keys/"]
PAGES += ["/accounts/2fa/", "/accounts/sessions/", "/accounts/email/", "/settings/export/"]
ENDPOINTS = [
    "brokerage/connections",
    "brokerage/sync/status",
    "brokerage/transactions",
    "brokers/accounts",
    "brokers/positions",
    "brokers/balances",
    "broker/health",
    "brokerage/execution-quality",
    "brokerage/compare?mine=1",
    "webhooks",
]
OF_SECRETS = {"admin", "allauth_idp_oidc", "connections", "identity", "kernel", "mfa", "usersessions", "webhooks"}
OF_MAILS = {"reset link"}  # the mail is how it comes to its person
# Django keeps a session under its key, and in it a link of a mail while its page is open; both end by themselves.
OF_SESSIONS = {"session", "reset link"}


@dataclass
class Story:
    """What a person and an operator did, and everything secret in it by a name that a failing test may say."""

    person: User
    web: Client
    operator: Client
    secrets: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)  # what was answered when something crashed

    def keep(self, **secrets: str) -> None:
        for name, secret in secrets.items():
            assert len(secret) >= 12, f"{name} is too short to be searched for"
            self.secrets[name.replace("_", " ")] = secret


def test_the_search_finds_a_secret_however_it_is_spelled():
    secret = 'a"canary/of+17'
    for before in ("", "x", "xx", "xxx"):
        hidden = f"{before}{secret} behind it"
        for spelled in (hidden, hidden.encode().hex(), base64.b64encode(hidden.encode()).decode()):
            assert found({"it": secret}, spelled) == {"it"}
    assert found({"it": secret}, 'another"canary/of+18') == set()
    assert all(len(spelled) > 10 for spelled in spellings(secret))


@pytest.mark.django_db(transaction=True)
def test_no_secret_is_in_anything_the_hub_says_or_keeps(story: Story, capfd, mailoutbox, redis_client):
    """Each place with the names of the secrets found there."""
    said = "".join(capfd.readouterr())
    assert "broker_call" in said
    assert said.count("unforeseen") >= len(CRASHES), "each crash has left its traceback"
    waiting, tasks = in_redis(redis_client)
    assert {"sync.dispatch", "webhooks.dispatch"} <= {task["headers"]["task"] for task in tasks}
    assert len(mailoutbox) >= 3
    assert len(story.secrets) >= 25
    database = dumped()
    assert "COPY public.connections_connection " in database
    places = {
        "logs": said,
        "Redis and the tasks in it": waiting,
        "mails": "".join(f"{mail.subject} {mail.body} {mail.alternatives}" for mail in mailoutbox),
        "the database": database,
        "sessions": sessions(),
        "error pages": "".join(story.errors),
        "pages": "".join(of_pages(story)),
        "the API": "".join(of_api(story)),
        "the administration": "".join(of_admin(story)),
        "the export": b"".join(writing.write(story.person)).decode("latin-1"),
        "metrics": Client().get("/metrics", headers={"Authorization": "Bearer x"}).content.decode(),
    }
    allowed = dict.fromkeys(("the database", "sessions"), OF_SESSIONS) | {"mails": OF_MAILS}
    leaks = {place: found(story.secrets, text) - allowed.get(place, set()) for place, text in places.items()}
    assert {place: names for place, names in leaks.items() if names} == {}
    assert "70355128" not in places["pages"] + places["the API"], "account numbers are masked"


# --- Where they are looked for ----------------------------------------------------------------------------------------
def of_pages(story: Story) -> Iterator[str]:
    hook = Endpoint.objects.earliest("created_at")
    connections = [reverse("connections:detail", args=[each.pk]) for each in story.person.connections.all()]
    log = [reverse("webhooks:delivery", args=[each.endpoint_id, each.pk]) for each in Delivery.objects.all()]
    for page in [*PAGES, *connections, *log, reverse("webhooks:detail", args=[hook.pk])]:
        shown = story.web.get(page)
        assert shown.status_code == 200, page
        yield shown.content.decode()


def of_api(story: Story) -> Iterator[str]:
    client = APIClient(HTTP_AUTHORIZATION=f"Token {story.secrets['API token']}")
    for endpoint in [*ENDPOINTS, *(f"webhooks/{each.pk}/deliveries" for each in Endpoint.objects.all())]:
        answered = client.get(f"/api/v1/{endpoint}")
        assert answered.status_code == 200, endpoint
        yield answered.content.decode()


def of_admin(story: Story) -> Iterator[str]:
    """List and form of what has to do with secrets, the start page, and where the id of a request leads.

    All the others are searched in tests/security/test_every_address.py.
    """
    for model in (each for each in site._registry if each._meta.app_label in OF_SECRETS):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield story.operator.get(reverse(f"{name}_changelist")).content.decode()
        for row in model._default_manager.all()[:1]:
            yield story.operator.get(reverse(f"{name}_change", args=[row.pk])).content.decode()
    yield story.operator.get("/admin/").content.decode()
    made = story.web.post("/settings/webhooks/new/", {"url": "http://elsewhere"})
    yield story.operator.get(f"/admin/requests/?id={made['X-Request-ID']}").content.decode()


# --- The story --------------------------------------------------------------------------------------------------------
@pytest.fixture
def story(transactional_db: None, sandbox: Sandbox, receiver: Receiver, unpaced: None, flex_keys, capfd) -> Story:
    person = User.objects.create_user("ada@example.com", PASSWORD, name="Ada")
    operator = User.objects.create_superuser("root@example.com", "correct horse battery")
    story = Story(person, Client(raise_request_exception=False), Client())
    story.operator.force_login(operator, backend="allauth.account.auth_backends.AuthenticationBackend")
    story.keep(password=PASSWORD, secret_key=hub.SECRET_KEY, schwab_app=hub.SCHWAB_APP_SECRET)
    story.keep(
        **{f"credentials_key_{name}": base64.b64encode(key).decode() for name, key in hub.CREDENTIALS_KEYS.items()}
    )
    sign_in(story)
    connect(story, sandbox)
    enter_keys(story, flex_keys)
    make_tokens(story)
    let_an_app_in(story)
    be_told(story, receiver)
    crash(story)
    return story


def sign_in(story: Story) -> None:
    """With a wrong password first, then by one's own; a second factor; and the link of a forgotten password."""
    login = {"login": story.person.email, "password": "a canary that is out of tune"}
    story.keep(mistyped=login["password"])
    assert story.web.post("/accounts/login/", login).status_code == 200
    assert story.web.post("/accounts/login/", login | {"password": PASSWORD}).status_code == 302
    story.keep(session=str(story.web.session.session_key))
    secret = "JBSWY3DPEHPK3PXPCANARYAAAAAAAAAA"
    TOTP.activate(story.person, secret)
    RecoveryCodes.activate(story.person)
    seed = Authenticator.objects.get(user=story.person, type="recovery_codes").data["seed"]
    story.keep(second_factor=secret, recovery_seed=decrypt(seed))
    Client().post("/accounts/password/reset/", {"email": story.person.email})
    from django.core import mail

    [link] = re.findall(r"/accounts/password/reset/key/([\w-]+)/", str(mail.outbox[-1].body))
    Client().get(f"/accounts/password/reset/key/{link}/")
    story.keep(reset_link=link.partition("-")[2])


def connect(story: Story, sandbox: Sandbox) -> None:
    """Twice, with a renewal and a failure each."""
    for number in (1, 2):
        connection = connection_manager.create_connection(
            user=story.person, broker=Broker.SCHWAB, method=AuthMethod.SCHWAB_OAUTH
        )
        back = parse_qs(urlsplit(sandbox.sign_in(connection_manager.start_oauth(connection=connection), "james")).query)
        came = {name: values[0] for name, values in back.items()}
        story.keep(**{f"{name}_{number}": came[name].rstrip("@") for name in ("state", "code")})
        connection = connection_manager.complete_oauth(user=story.person, answer=came)
        keep_tokens(story, connection, f"{number} first")
        connection_manager.refresh_credentials(connection)
        keep_tokens(story, connection, f"{number} renewed")
        sync(connection)
        sandbox.end_tokens("james", expire=True, revoke=True)
        with pytest.raises(BrokerError):
            connection_manager.refresh_credentials(connection)


def keep_tokens(story: Story, connection: Connection, when: str) -> None:
    held = connection.read_credentials()
    story.keep(**{f"{name} {when}": str(value) for name, value in held.items() if len(str(value)) >= 12})


def enter_keys(story: Story, flex_keys: dict[str, str]) -> None:
    """A wrong key, a right one, and an app of one's own."""
    here = reverse("connections:keys_new", args=["ibkr_flex"])
    wrong = flex_keys | {"token": "123456789012345678901234"}
    assert story.web.post(here, wrong).status_code == 200
    assert story.web.post(here, flex_keys).status_code == 302
    app = {"app_key": "sandbox0schwab0app0key0000000002", "app_secret": "sandboxsecret002"}
    own = reverse("app-keys-method", args=["schwab_oauth"])
    assert story.web.post(own, app | {"callback_url": "https://127.0.0.1:8182"}).status_code == 302
    story.keep(wrong_flex_token=wrong["token"], flex_token=flex_keys["token"], own_app=app["app_secret"])


def make_tokens(story: Story) -> None:
    """One that goes on working and one that is revoked and used again."""
    for name in ("API token", "revoked token"):
        page = story.web.get("/settings/tokens/new/").content.decode()
        [once] = re.findall(r'name="once" value="([^"]+)"', page)
        wish = {"name": name, "scopes": ["portfolio:read"], "lasts": "7", "once": once}
        if name == "API token":
            wish["scopes"] = ["connections:read", "portfolio:read", "health:read", "compare:read", "sync:write"]
            wish["scopes"] += ["webhooks:write", "connections:write"]
        made = story.web.post("/settings/tokens/new/", wish)
        [token] = re.findall(r"hub_[0-9a-f]{64}", made.content.decode())
        story.keep(**{name: token})
    story.web.post(f"/settings/tokens/{ApiToken.objects.get(name=name).pk}/revoke/")
    refused = APIClient(HTTP_AUTHORIZATION=f"Token {story.secrets['revoked token']}").get("/api/v1/brokers/accounts")
    assert refused.status_code == 401


def let_an_app_in(story: Story) -> None:
    """Registered by the operator; the code is used twice, a refresh token comes again."""
    scopes = ["connections:read", "portfolio:read"]
    form = {"name": "Lens", "website": "https://lens.example", "type": "confidential", "scopes": scopes}
    made = story.operator.post("/admin/allauth_idp_oidc/client/add/", form | {"redirect_uris": BACK})
    secret = made.context["secret"]
    app = App(made.context["client"], scopes=scopes)
    code = app.code(story.web)
    first = app.exchange(code, client_secret=secret).json()
    renewed = app.refresh(first["refresh_token"], client_secret=secret).json()
    assert app.exchange(code, client_secret=secret).status_code == 400
    story.keep(app_secret=secret, app_code=code)
    for when, tokens in (("first", first), ("renewed", renewed)):
        story.keep(**{f"app {name} {when}": tokens[name] for name in ("access_token", "refresh_token")})


def be_told(story: Story, receiver: Receiver) -> None:
    """By page and by API, the latter twice under one key; a new secret; a receiver that fails."""
    receiver.behave = answer(500, b"something is wrong with us")
    page = story.web.get("/settings/webhooks/new/").content.decode()
    [once] = re.findall(r'name="once" value="([^"]+)"', page)
    made = story.web.post("/settings/webhooks/new/", {"url": receiver.url, "once": once})
    story.keep(webhook_of_page=made.context["secret"])
    client = APIClient(HTTP_AUTHORIZATION=f"Token {story.secrets['API token']}", HTTP_IDEMPOTENCY_KEY="canary")
    for _ in range(2):
        added = client.post("/api/v1/webhooks", {"url": receiver.url}, format="json").json()
    rotated = client.post(f"/api/v1/webhooks/{added['id']}/rotate", {}, format="json").json()
    story.keep(webhook_of_api=added["secret"], webhook_rotated=rotated["secret"])
    for endpoint in Endpoint.objects.all():
        story.web.post(f"/settings/webhooks/{endpoint.pk}/test/")
    webhook_tasks.dispatch()
    assert receiver.got


Crash = Callable[[Story], Any]
FLEX = "/connections/new/ibkr_flex/"
LOST = "654321098765432109876543"
CRASHES: dict[str, Crash] = {
    "brokerhub.kernel.models.User.check_password": lambda story: Client(raise_request_exception=False).post(
        "/accounts/login/", {"login": story.person.email, "password": PASSWORD}
    ),
    "connections.connection_manager.connect_with_keys": lambda story: story.web.post(
        FLEX, {"token": LOST, "query_id": "1001001"}
    ),
    "connections.app_keys.enter": lambda story: story.web.post(
        "/settings/app-keys/schwab_oauth/",
        {"app_key": "k" * 32, "app_secret": LOST, "callback_url": "https://127.0.0.1:8182"},
    ),
    "connections.credentials.seal": lambda story: APIClient(
        HTTP_AUTHORIZATION=f"Token {story.secrets['API token']}", raise_request_exception=False
    ).post("/api/v1/webhooks", {"url": Endpoint.objects.earliest("created_at").url}, format="json"),
    "allauth.idp.oidc.models.Client.check_secret": lambda story: Client(raise_request_exception=False).post(
        "/oauth/token",
        {
            "grant_type": "authorization_code",
            "code": LOST,
            "client_id": Registered.objects.get().pk,
            "client_secret": LOST,
        },
    ),
}


def crash(story: Story) -> None:
    """A bug where each kind is in somebody's hands."""
    story.keep(lost=LOST)
    for place, act in CRASHES.items():
        with patch(place, side_effect=RuntimeError("unforeseen")):
            failed = act(story)
        assert failed.status_code == 500, place
        story.errors.append(failed.content.decode() + str(failed.headers))
