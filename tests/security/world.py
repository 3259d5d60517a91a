"""The world that the walks go through, made once: an owner who has one of everything, a stranger, and staff."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from allauth.idp.oidc.models import Client as OtherApp
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.utils import timezone

from aggregation.models import Break, Transaction
from aggregation.review_models import UserEdit
from brokerhub.erasure import receipts
from brokerhub.kernel.models import ApiToken, KeyedRequest, User
from connections import app_keys, connection_manager, credentials, rotation
from connections.brokers.records import AuthMethod, Broker
from tests.aggregation.factories import a_user
from tests.api.test_strangers import belongings
from tests.plugins.operators import TOTP_SECRET, give_second_factor
from tests.security import canaries
from tests.security.addresses import Address, every_address
from tests.security.walking import Answer, ask

HERE = "/portfolio/?by-next"
TRAP = {"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"}
SECRET = "canaryofthesealed"


@dataclass
class World:
    owner: User
    stranger: User
    staff: User
    objects: dict[str, Any]
    planted: int
    secrets: list[str]
    addresses: list[Address]
    paths: dict[str, str]
    seen: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    sessions: dict[int, str] = field(default_factory=dict)

    def browser(self, user: User | None, **more: Any) -> Client:
        """Each person signs in once; what a request does to the session is taken back with all else."""
        client = Client(raise_request_exception=False, **more)
        if user is not None:
            client.cookies[settings.SESSION_COOKIE_NAME] = self._session(user)
        return client

    def _session(self, user: User) -> str:
        if user.pk not in self.sessions:
            client = Client()
            client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
            self.sessions[user.pk] = client.cookies[settings.SESSION_COOKIE_NAME].value
        return self.sessions[user.pk]

    def walk(self, user: User | None, method: str = "GET") -> list[Answer]:
        """This person's answers at every address that is theirs to try; each walk is done once.

        A visitor tries all; a stranger what is about nobody in particular (ids: tests/api/test_strangers.py); the owner
        all but the administration, and tells pages to lead on to `HERE`; staff the administration, where it has rows.
        Each request names another method in the header that some frameworks heed.
        """
        who = user.email if user else "nobody"
        if (who, method) not in self.seen:
            client = self.browser(user)
            self.seen[who, method] = [
                ask(
                    client,
                    method,
                    address,
                    self._path(user, address),
                    REMOTE_ADDR=f"192.0.2.{number % 250 + 1}",
                    **TRAP,
                )
                for number, address in enumerate(self._tried_by(user))
            ]
        return self.seen[who, method]

    def _path(self, user: User | None, address: Address) -> str:
        path = self.paths[address.route]
        return path if address.is_api or user != self.owner else f"{path}?{leading_to(HERE)}"

    def _tried_by(self, user: User | None) -> list[Address]:
        if user is None:
            return self.addresses
        if user == self.staff:
            with_rows = [a for a in self.telling if a.is_admin and (a.model is None or a.model._base_manager.exists())]
            return [address for address in with_rows if "{url}" not in address.route]
        if user == self.stranger:
            return [address for address in self.telling if not address.is_ones_own]
        return [address for address in self.addresses if not address.is_admin]

    @property
    def telling(self) -> list[Address]:
        return [address for address in self.addresses if not address.is_like_its_neighbour]


def from_somewhere(number: int) -> dict[str, str]:
    """Another address of the network for each request, so that no budget of one is used up."""
    return {"REMOTE_ADDR": f"192.0.2.{number % 250 + 1}"}


def leading_to(target: str) -> str:
    """A query, or the body of a form, that asks in all usual names to be led on."""
    return urlencode(dict.fromkeys(("next", "return_to", "redirect", "redirect_to", "url", "back"), target))


@contextmanager
def made() -> Iterator[World]:
    """Nothing of it is ever committed."""
    with transaction.atomic():
        owner, stranger = a_user(), a_user()
        staff = User.objects.create_superuser("staff@example.com", "correct horse battery")
        give_second_factor(staff)
        objects = belongings(owner)
        row = Transaction.objects.get(pk=objects["id"])
        UserEdit.objects.create(account=row.account, transaction=row, note="x", tags=["x"])
        Break.objects.update(
            findings=[{"cause": "unknown", "amount": "1", "text": canaries.HARMFUL, "evidence": [], "fixes": []}]
        )
        planted = canaries.plant()
        UserEdit.objects.update(tags=[canaries.HARMFUL])
        addresses = every_address()
        paths = {address.route: address.filled(objects | {"pk": objects["id"]}) for address in addresses}
        yield World(owner, stranger, staff, objects, planted, secrets(owner, staff), addresses, paths)
        transaction.set_rollback(True)


def secrets(owner: User, staff: User) -> list[str]:
    """Put a secret wherever one is sealed or digested, so that an answer which shows any of it can be told."""
    app_keys.enter(
        owner=owner,
        method=AuthMethod.SCHWAB_OAUTH,
        values={"app_key": "k" * 32, "app_secret": SECRET, "callback_url": "https://127.0.0.1:8182"},
    )
    begun = connection_manager.create_connection(user=owner, broker=Broker.SCHWAB, method=AuthMethod.SCHWAB_OAUTH)
    connection_manager.start_oauth(connection=begun)
    now = timezone.now()
    receipts.keep(
        receipts.Receipt(
            email="gone@example.com", user_id=0, traces=[], requested_at=now, done_at=now, rows={}, access=[]
        )
    )
    for sealed in rotation.SEALED:
        rows = list(sealed.model._default_manager.all())
        assert rows, f"{sealed.name}: a row with a secret is missing"
        for row in rows:
            seal(row, sealed)
    _, token = ApiToken.objects.create(user=owner, scopes=[])
    client = OtherApp.objects.earliest("created_at")
    client.set_secret(SECRET)
    client.save()
    KeyedRequest.objects.create(
        name="0" * 64, user=owner, fingerprint="0" * 64, begun_at=timezone.now(), expires_at=timezone.now(), status=201
    )
    digests = [*ApiToken.objects.values_list("digest", flat=True), client.secret, owner.password, staff.password]
    return [SECRET, token, TOTP_SECRET, *(digest for digest in digests if digest)]


def seal(row: Any, sealed: rotation.SealedColumn) -> None:
    """Its values under their names, each of them secret now."""
    old = bytes(getattr(row, sealed.column))
    names = credentials.unseal(old, owner=sealed.owner(row)) if old else dict.fromkeys(("token", "refresh_token"))
    secret = credentials.seal({name: f"{SECRET}{name}" for name in names}, owner=sealed.owner(row))
    type(row)._default_manager.filter(pk=row.pk).update(**{sealed.column: secret})
