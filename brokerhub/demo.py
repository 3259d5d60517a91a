"""The demo person: an account with a brokerage connection that came about exactly as a user's does.

The sign-in is done on the sandbox's own pages, over HTTP, as a browser would; the first sync by the real worker.
"""

import re
import time
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import requests
from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers.base import BrokerError
from connections.brokers.records import AuthMethod, Broker
from connections.models import Connection
from connections.states import ConnectionState
from sync import sync_service
from sync.models import SyncRun, Trigger

EMAIL = "demo@example.com"
PASSWORD = "a-quiet-portfolio"  # nosec B105  # printed at every start, and only good on this machine
SANDBOX_LOGIN = {"login": "maria", "password": "sandbox"}  # nosec B105  # of the sandbox only
PATIENCE = timedelta(minutes=3)


class DemoFailed(HubError):
    """The demo could not be made; the text says at which step."""


def prepare() -> SyncRun:
    """Make or renew the demo person and their connection, and wait for a finished sync. May be repeated."""
    if not settings.BROKERS_SANDBOX_URL:
        raise NotAllowed("The demo needs the sandbox: set BROKERS_SANDBOX_URL, or start the hub with make run.")
    user = ensure_user()
    connection = ensure_connection(user)
    return wait_for(sync_service.request_sync(user=user, connection=connection, trigger=Trigger.MANUAL))


@transaction.atomic
def ensure_user() -> User:
    user = User.objects.filter(email=EMAIL).first() or User.objects.create_user(EMAIL, name="Demo")
    if not user.check_password(PASSWORD):
        user.set_password(PASSWORD)
    user.is_active = True
    user.save()
    EmailAddress.objects.update_or_create(user=user, email=EMAIL, defaults={"verified": True, "primary": True})
    return user


def ensure_connection(user: User) -> Connection:
    """The demo's Schwab connection, signed in. The sandbox forgets its tokens when it stops, so it may be renewed."""
    connection = Connection.objects.for_user(user).filter(broker=Broker.SCHWAB).by_api().order_by("created_at").first()
    if connection is None or connection.state == ConnectionState.DISCONNECTED:
        connection = connection_manager.create_connection(
            user=user, broker=Broker.SCHWAB, method=AuthMethod.SCHWAB_OAUTH
        )
    if connection.status.may_sync:
        try:
            connection_manager.refresh_credentials(connection)
            return connection
        except BrokerError:
            connection.refresh_from_db()
    answer = agree(connection_manager.start_oauth(connection=connection))
    return connection_manager.complete_oauth(user=user, answer=answer)


def agree(authorization_url: str) -> dict[str, str]:
    """Sign in at the sandbox and allow all accounts; the parameters that come back to the callback."""
    with requests.Session() as browser:
        page = browser.get(authorization_url, timeout=30)
        page = _submit(browser, page, {"step": "sign_in", **SANDBOX_LOGIN})
        numbers = re.findall(r'name="account" value="([^"]+)"', page.text)
        page = _submit(browser, page, {"step": "consent", "account": numbers, "decision": "allow"})
    location = page.headers.get("Location", "")
    answer = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    if not {"code", "state"} <= answer.keys():
        raise DemoFailed(f"The sandbox did not send the demo back with a code (status {page.status_code}).")
    return answer


def _submit(
    browser: requests.Session, page: requests.Response, fields: dict[str, str | list[str]]
) -> requests.Response:
    ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)
    if page.status_code != requests.codes.ok or ticket is None:
        raise DemoFailed(f"The sandbox's sign-in page could not be used (status {page.status_code}).")
    return browser.post(page.url, data={**fields, "ticket": ticket[1]}, allow_redirects=False, timeout=30)


def wait_for(run: SyncRun) -> SyncRun:
    """The run when the worker has finished it. Raises DemoFailed when it did not, or failed."""
    give_up = timezone.now() + PATIENCE
    while run.status.is_open:
        if timezone.now() > give_up:
            raise DemoFailed("The worker has not finished the first sync. Is it running?")
        time.sleep(0.3)
        run.refresh_from_db()
    if run.error:
        raise DemoFailed(f"The first sync ended as {run.get_state_display().lower()}: {run.error}")
    return run
