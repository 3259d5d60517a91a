"""Each page of connections with each state on it, as a person sees it: accessible, fitting, wide and on a phone."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from brokerhub.kernel.models import User
from connections.models import Account, Connection, ConnectionEvent, OfferedAccount, UnfinishedRevocation

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
STATES = [
    ("needs_reauth", "authorization_expired", "schwab", "schwab_oauth", "Schwab, retirement"),
    ("expiring", "authorization_expiring", "schwab", "schwab_oauth", "Charles Schwab"),
    ("pending_auth", "consent_denied", "alpaca", "alpaca_oauth", "Alpaca"),
    ("rate_limited", "rate_limit", "ibkr", "ibkr_flex", "Interactive Brokers 2"),
    ("maintenance", "maintenance", "robinhood", "robinhood_oauth", "Robinhood"),
    ("error", "broker_unavailable", "alpaca", "alpaca_oauth", "Alpaca 2"),
    ("connected", "", "ibkr", "ibkr_oauth", "Interactive Brokers"),
    ("connected", "", "robinhood", "robinhood_crypto", "Coins"),
    ("degraded", "parts_failing", "schwab", "schwab_oauth", "Schwab, joint"),
    ("disconnected", "by_user", "robinhood", "robinhood_login", "Old Robinhood"),
]


@pytest.fixture
def life(person: User) -> dict[str, Connection]:
    """Somebody with a connection in every state, by label."""
    now = timezone.now()
    made = {}
    for number, (state, reason, broker, method, label) in enumerate(STATES):
        connection = made[label] = Connection.objects.create(
            user=person, broker=broker, method=method, environment="sandbox", label=label, state=state,
            reason_code=reason, broker_user_key=f"login {number}", last_success_at=now - timedelta(hours=number),
            state_until=now + timedelta(minutes=20) if state in ("rate_limited", "maintenance", "error") else None,
        )  # fmt: skip
        Account.objects.create(connection=connection, external_id=f"A{number}", mask=f"{number}45", name="Individual")
    ending = made["Charles Schwab"]
    ending.state_until = ending.authorization_expires_at = now + timedelta(hours=30)
    ending.access_expires_at = now + timedelta(minutes=20)
    ending.save()
    Account.objects.create(
        connection=ending, external_id="IRA", mask="678", name="Rollover IRA", closed_on="2026-03-01"
    )
    Account.objects.create(connection=ending, external_id="HSA", mask="911", name="Health savings", unlisted_since=now)
    joint, stale = made["Schwab, joint"], (now - timedelta(hours=26)).isoformat()
    part = f"holdings:{joint.accounts.get().pk}"
    joint.degraded_parts = {part: {"since": stale, "reason": "Charles Schwab is not answering right now."}}
    joint.save()
    OfferedAccount.objects.create(connection=ending, external_id="new", mask="222", name="Opened last week")
    for action, old, new, why in (
        ("created", "", "pending_auth", ""),
        ("signed_in", "pending_auth", "connected", ""),
        ("failed", "connected", "rate_limited", "rate_limit"),
        ("failed", "connected", "expiring", "authorization_expiring"),
    ):
        ConnectionEvent.objects.create(
            connection=ending,
            action=action,
            from_state=old,
            to_state=new,
            reason_code=why,
            actor=None if why else person,
        )
    UnfinishedRevocation.objects.create(
        user=person, broker="robinhood", method="robinhood_oauth", environment="sandbox", label="Robinhood 2",
        attempts=3, next_try_at=now + timedelta(minutes=8),
    )  # fmt: skip
    return made


def sign_in(page: Page, url: str, person: User) -> None:
    client = Client()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    cookie = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": django_settings.SESSION_COOKIE_NAME, "value": cookie, "url": url}])


def walk(page: Page, url: str, life: dict[str, Connection]) -> Iterator[str]:
    """Opens one page after the other; the name of each."""
    ending, fresh = life["Charles Schwab"], life["Interactive Brokers"]
    for name, address in {
        "list": reverse("connections:list"),
        "new": reverse("connections:new"),
        "detail": reverse("connections:detail", args=[ending.pk]),
        "detail-history-by-flex": reverse("connections:detail", args=[fresh.pk]),
        "keys-flex": reverse("connections:keys_new", args=["ibkr_flex"]),
        "keys-own": reverse("connections:keys_new", args=["ibkr_keys"]),
        "history-keys": reverse("connections:history_keys", args=[fresh.pk]),
        "disconnect": reverse("connections:disconnect", args=[ending.pk]),
        "paste": reverse("connections:paste", args=["schwab"]),
        "app-keys": reverse("app-keys"),
        "app-keys-schwab": reverse("app-keys-method", args=["schwab_oauth"]),
    }.items():
        page.goto(url + address)
        yield name
    page.goto(url + reverse("connections:keys_new", args=["ibkr_flex"]))
    page.get_by_label("Flex token").fill("not a token")
    page.get_by_label("Query id").fill("1001001")
    page.get_by_role("button", name="Connect").click()
    expect(page.locator(".field__errors")).to_be_visible()
    yield "keys-refused"
    page.goto(url + reverse("connections:new"))
    page.get_by_role("button", name="with Robinhood, Crypto API key").click()
    expect(page.get_by_label("Public key", exact=True)).to_be_visible()
    yield "keys-prepared"
    page.goto(url + reverse("connections:new"))
    page.get_by_role("button", name="with Robinhood, Unofficial login").click()
    expect(page.get_by_label("Robinhood password")).to_be_visible()
    yield "login"
    page.get_by_label("Robinhood e-mail").fill("maria@example.test")
    page.get_by_label("Robinhood password").fill("sandbox")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Check again")).to_be_visible()
    yield "login-waiting"
    page.goto(url + reverse("connections:detail", args=[fresh.pk]))
    page.get_by_role("link", name="Disconnect…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    yield "disconnect-dialog"
    page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
    yield "receipt"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_and_state_is_accessible_and_fits(
    new_page, live_server, person, life, sandbox, settings, inaccessible, screenshot, scheme: str, width: int
) -> None:
    settings.ROBINHOOD_PRIVATE_LOGIN = True
    sandbox.control("robinhood/logins", login="maria", way="prompt", approve_after=None)
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 844})
    sign_in(page, live_server.url, person)
    for name in walk(page, live_server.url, life):
        screenshot(page, name)
        assert inaccessible(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_the_list_changes_by_itself_and_the_focus_stays(page, live_server, person, life) -> None:
    sign_in(page, live_server.url, person)
    page.goto(live_server.url + reverse("connections:list"))
    needs_you = page.get_by_role("region", name="Needs you")
    expect(needs_you).not_to_contain_text("Coins")
    button = page.locator(f"#sync-{life['Robinhood'].pk}")
    button.focus()
    Connection.objects.filter(label="Coins").update(state="needs_reauth", reason_code="keys_refused")
    expect(needs_you).to_contain_text("Coins", timeout=10_000)
    expect(button).to_be_focused()
    expect(page.get_by_role("status")).to_contain_text("4 need you, 3 waiting, 2 working, 1 disconnected")
    page.goto(live_server.url + reverse("connections:detail", args=[life["Robinhood"].pk]))
    page.get_by_label("Name", exact=True).last.fill("Half a name")
    Connection.objects.filter(label="Robinhood").update(state="needs_reauth", reason_code="authorization_expired")
    expect(page.get_by_role("region", name="State")).to_contain_text("has run out", timeout=10_000)
    expect(page.get_by_role("button", name="Sign in again")).to_be_visible()
    expect(page.get_by_label("Name", exact=True).last).to_have_value("Half a name")


def test_what_is_to_be_copied_is_copied_with_one_click(new_page, live_server, person) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    sign_in(page, live_server.url, person)
    page.goto(live_server.url + reverse("app-keys-method", args=["schwab_oauth"]))
    page.get_by_role("button", name="Copy callback URL").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == django_settings.SCHWAB_CALLBACK_URL


def test_every_kind_of_sign_in_works_without_javascript(new_page, live_server, person, sandbox, settings) -> None:
    settings.ROBINHOOD_PRIVATE_LOGIN = True
    sandbox.control("robinhood/logins", login="maria", way="prompt", approve_after=None)
    page = new_page(java_script_enabled=False)
    sign_in(page, live_server.url, person)
    page.goto(live_server.url + reverse("connections:new"))
    page.get_by_role("button", name="Continue to Charles Schwab").click()
    expect(page.get_by_role("link", name="Sign in at Charles Schwab")).to_be_visible()
    page.goto(live_server.url + reverse("connections:new"))
    page.get_by_role("link", name="Enter keys for Interactive Brokers, Flex query").click()
    expect(page.get_by_label("Flex token")).to_be_visible()
    page.goto(live_server.url + reverse("connections:new"))
    page.get_by_role("button", name="with Robinhood, Unofficial login").click()
    page.get_by_label("Robinhood e-mail").fill("maria@example.test")
    page.get_by_label("Robinhood password").fill("sandbox")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("heading", name="Waiting for you at Robinhood")).to_be_visible()
    sandbox.control("robinhood/phone", login="maria", approve=True)
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("main")).to_contain_text("Robinhood is connected")
