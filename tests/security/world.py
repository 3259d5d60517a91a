"""The world that the walks go through, made once: an owner who has one of everything, a stranger, and staff."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db import transaction
from django.test import Client

from aggregation.models import Break, Transaction
from aggregation.review_models import UserEdit
from brokerhub.kernel.models import User
from tests.aggregation.factories import a_user
from tests.api.test_strangers import belongings
from tests.plugins.operators import give_second_factor
from tests.security import canaries
from tests.security.addresses import Address, every_address
from tests.security.walking import Answer, ask

HERE = "/portfolio/?by-next"


@dataclass
class World:
    owner: User
    stranger: User
    staff: User
    objects: dict[str, Any]
    planted: int
    addresses: list[Address]
    paths: dict[str, str]
    seen: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)

    def browser(self, user: User | None, **more: Any) -> Client:
        client = Client(raise_request_exception=False, **more)
        if user is not None:
            client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    def walk(self, user: User | None, method: str = "GET") -> list[Answer]:
        """This person's answers at every address that is theirs to try; each walk is done once.

        A visitor tries all; a stranger what is about nobody in particular (ids: tests/api/test_strangers.py); the owner
        all but the administration, and tells pages to lead on to `HERE`; staff the administration, where it has rows.
        """
        who = user.email if user else "nobody"
        if (who, method) not in self.seen:
            client = self.browser(user)
            self.seen[who, method] = [
                ask(client, method, address, self._path(user, address), REMOTE_ADDR=f"192.0.2.{number % 250 + 1}")
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
        yield World(owner, stranger, staff, objects, planted, addresses, paths)
        transaction.set_rollback(True)
