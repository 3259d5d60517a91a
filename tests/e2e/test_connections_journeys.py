"""Every broker and every way to connect it, in a real browser against the whole running hub.

Each goes through its whole life: declined where there is something to decline, connected, its access ended at the
broker (seen live on a page that nobody reloads), renewed in place, disconnected with a receipt.
"""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.e2e.test_way_through import sign_up
from tests.plugins.running_hub import RunningHub
from tests.plugins.sandbox_server import Sandbox

pytestmark = pytest.mark.e2e
PATIENCE = 30_000  # milliseconds, for what the hub does in the background
TRIES = 4


@dataclass(frozen=True)
class Walker:
    """One person with two tabs: `page`, where they act, and `watched`, the list of connections left alone."""

    page: Page
    watched: Page
    hub: RunningHub
    sandbox: Sandbox

    def choose(self, button: str) -> None:
        self.page.goto(f"{self.hub.url}/connections/new/")
        self.page.get_by_role("button", name=button).or_(self.page.get_by_role("link", name=button)).click()

    def consent(self, login: str, decision: str = "Allow access") -> None:
        """On the broker's own page: sign in, and say yes or no."""
        self.page.get_by_label("Login ID").fill(login)
        self.page.get_by_label("Password").fill("sandbox")
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name=decision).click()

    def is_connected(self) -> None:
        expect(self.page.get_by_role("status").filter(has_text="is connected")).to_be_visible(timeout=PATIENCE)

    def see_it_end(self, words: str) -> None:
        """Sync until the broker's no has reached the page. A sync that was under way may have ended just before it."""
        for _ in range(TRIES):
            self.page.goto(f"{self.hub.url}/connections/")
            sync = self.page.get_by_role("button", name="Sync now")
            if sync.count():
                sync.first.click()
            try:
                expect(self.needs_you(self.watched)).to_contain_text(words, timeout=PATIENCE / TRIES)
            except AssertionError:
                continue
            return
        raise AssertionError(f"the page never said {words!r}")

    def needs_you(self, page: Page) -> Locator:
        return page.get_by_role("region", name=re.compile("^Needs you"))

    def renew(self, button: str) -> None:
        self.page.goto(f"{self.hub.url}/connections/")
        self.needs_you(self.page).get_by_role("button", name=button).click()

    def leave(self, *, erase: bool) -> None:
        """Disconnect from the dialog, and read the receipt."""
        self.page.goto(f"{self.hub.url}/connections/")
        self.page.get_by_role("heading", level=3).get_by_role("link").first.click()
        self.page.get_by_role("link", name="Disconnect…").click()
        dialog = self.page.get_by_role("dialog")
        if erase:
            dialog.get_by_label("Erase everything").check()
        dialog.get_by_role("button", name="Disconnect").click()
        expect(self.page.get_by_role("heading", name="Receipt")).to_be_visible(timeout=PATIENCE)
        expect(self.page.get_by_role("main")).to_contain_text("Erased" if erase else "Kept, read-only")

    def count(self) -> int:
        self.page.goto(f"{self.hub.url}/connections/")
        return self.page.get_by_role("heading", level=3).count()


@pytest.fixture
def walker(new_page: Callable[..., Page], running_hub: RunningHub) -> Walker:
    """A new person for each test, in a browser of their own."""
    page = new_page()
    sign_up(page, running_hub, f"walker-{uuid.uuid4().hex[:12]}@example.com")
    watched = page.context.new_page()
    watched.goto(f"{running_hub.url}/connections/")
    return Walker(page, watched, running_hub, Sandbox(running_hub.sandbox_url, requests.Session()))


BY_CONSENT = [("Charles Schwab", "schwab", "james"), ("Alpaca", "alpaca", "james")]
BY_CONSENT += [("Robinhood", "robinhood", "james"), ("Interactive Brokers", "ibkr", "maria")]


@pytest.mark.parametrize(("name", "broker", "login"), BY_CONSENT)
def test_a_sign_in_on_the_brokers_page_from_no_to_goodbye(walker, screenshot, name, broker, login) -> None:
    walker.choose(f"Continue to {name}")
    walker.consent(login, "Cancel")
    expect(walker.page.get_by_role("heading", level=1)).to_have_text("You declined access")
    walker.renew("Try again")
    walker.consent(login)
    walker.is_connected()
    walker.sandbox.end_tokens(login, expire=True, revoke=True, broker=broker)
    walker.see_it_end("Sign in again")
    screenshot(walker.watched, f"{broker}-ended")
    walker.renew("Sign in again")
    walker.consent(login)
    walker.is_connected()
    assert walker.count() == 1, "the same connection"
    walker.leave(erase=broker == "schwab")


def test_a_flex_query_and_own_keys_are_one_connection(walker, screenshot) -> None:
    page, sandbox = walker.page, walker.sandbox

    def type_flex(token: str) -> None:
        page.get_by_label("Flex token").fill(token)
        page.get_by_label("Query id").fill("1001001")
        page.get_by_role("button", name=re.compile("^(Connect|Renew)$")).click()

    walker.choose("Enter keys for Interactive Brokers, Flex query")
    type_flex("not a token")
    expect(page.locator(".field__errors")).to_be_visible()
    type_flex(sandbox.control("ibkr/flex", "GET")["token"])
    walker.is_connected()
    fresh = sandbox.control("ibkr/flex", "POST", login="maria")["token"]  # which ends the one before
    walker.see_it_end("Enter new keys")
    walker.renew("Enter new keys")
    type_flex(fresh)
    walker.is_connected()
    walker.choose("Enter keys for Interactive Brokers, Your own API keys")
    known = sandbox.control("ibkr/keys", "GET", consumer_key="MARIAKEYS")
    for label, key in {
        "Consumer key": "consumer_key",
        "Access token": "access_token",
        "Access token secret": "access_token_secret",
        "Private signing key": "signing_key",
        "Private encryption key": "encryption_key",
        "Diffie-Hellman parameters": "dh_prime",
    }.items():
        page.get_by_label(label, exact=True).fill(known[key])
    page.get_by_role("button", name="Connect").click()
    walker.is_connected()
    assert walker.count() == 1, "the same connection"
    page.get_by_role("heading", level=3).get_by_role("link").first.click()
    expect(page.get_by_role("main")).to_contain_text("Transactions come by a Flex query")
    screenshot(page, "own-keys")
    walker.leave(erase=False)


def test_a_crypto_key_is_brought_to_the_broker_and_back(walker, screenshot) -> None:
    def bring() -> None:
        public_key = walker.page.get_by_label("Public key", exact=True).input_value()
        given = walker.sandbox.control("robinhood/keys", login="maria", public_key=public_key)
        walker.page.get_by_label("API key", exact=True).fill(given["api_key"])
        walker.page.get_by_role("button", name=re.compile("^(Connect|Renew)$")).click()
        walker.is_connected()

    walker.choose("Begin with Robinhood, Crypto API key")
    bring()
    walker.sandbox.control("robinhood/keys", login="maria", disable=True)
    walker.see_it_end("Enter new keys")
    walker.renew("Enter new keys")
    bring()
    assert walker.count() == 1, "the same connection"
    walker.leave(erase=True)


def test_the_unofficial_login_asks_waits_and_takes_a_no(walker, screenshot) -> None:
    page, sandbox = walker.page, walker.sandbox

    def type_password() -> None:
        page.get_by_label("Robinhood e-mail").fill("maria@example.test")
        page.get_by_label("Robinhood password").fill("sandbox")
        page.get_by_role("button", name="Sign in").click()

    sandbox.control("robinhood/logins", login="maria", way="prompt", approve_after=None)
    walker.choose("I understand, go on with Robinhood")
    type_password()
    expect(page.get_by_role("heading", name="Waiting for you at Robinhood")).to_be_visible()
    sandbox.control("robinhood/phone", login="maria", approve=False)
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("alert")).to_contain_text("begin once more")
    sandbox.control("robinhood/logins", login="maria", way="sms")
    type_password()
    page.get_by_label("Code").fill("123456")
    screenshot(page, "code")
    page.get_by_role("button", name="Go on").click()
    walker.is_connected()
    sandbox.end_tokens("maria", expire=True, revoke=True, broker="robinhood")
    walker.see_it_end("Sign in again")
    sandbox.control("robinhood/logins", login="maria", way="none")
    walker.renew("Sign in again")
    type_password()
    walker.is_connected()
    assert walker.count() == 1, "the same connection"
    walker.leave(erase=False)
