"""Letting an app in, and ending that."""

from collections.abc import Iterable
from datetime import timedelta

import structlog
from allauth.idp.oidc.models import Client, Token
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from brokerhub.identity.models import AppAccess
from brokerhub.identity.words import wishes
from brokerhub.kernel import audit
from brokerhub.kernel.models import User

log = structlog.get_logger(__name__)

USE_NOTED_EVERY = timedelta(minutes=1)


@transaction.atomic
def grant(*, user: User, client: Client, scopes: Iterable[str]) -> AppAccess:
    """The person has consented. A mail tells them when the app is new, or may now do more."""
    access, is_new = AppAccess.objects.select_for_update().get_or_create(user=user, client=client)
    more = set(scopes) - set(access.scopes)
    if is_new:
        _tokens(access).delete()  # of a consent that was ended while a code was on its way
    access.scopes, access.granted_at = sorted(more | set(access.scopes)), timezone.now()
    access.save(update_fields=["scopes", "granted_at"])
    if more or is_new:
        audit.note(by=user, about=access, flag=audit.ADDITION, did=f"Let in, with {', '.join(access.scopes)}.")
        transaction.on_commit(lambda: _tell(access))
    return access


@transaction.atomic
def end(access: AppAccess, *, by: User, why: str = "Ended.") -> None:
    """From now on none of the app's tokens opens anything of this person's."""
    audit.note(by=by, about=access, flag=audit.DELETION, did=why)
    cut(access)


@transaction.atomic
def cut(access: AppAccess) -> None:
    """The same without a row in the log, for the admin, which writes one itself."""
    _tokens(access).delete()
    access.delete()


def end_if_over(refresh_token: str) -> None:
    """Whose consent is older than a year is not refreshed any more: the app has to ask the person again."""
    token = Token.objects.by_value(refresh_token).filter(type=Token.Type.REFRESH_TOKEN).first()
    mine = AppAccess.objects.select_related("user", "client")
    access = mine.filter(user=token.user_id, client=token.client_id).first() if token else None
    if access is not None and access.ends_at <= timezone.now():
        end(access, by=access.user, why="Ended by itself, a year after the consent.")


def note_use(access: AppAccess) -> None:
    """One guarded UPDATE at most a minute."""
    now = timezone.now()
    stale = now - USE_NOTED_EVERY
    if access.last_used_at is None or access.last_used_at < stale:
        unused = Q(last_used_at=None) | Q(last_used_at__lt=stale)
        AppAccess.objects.filter(unused, pk=access.pk).update(last_used_at=now)


def remove_expired() -> int:
    """Tokens that open nothing any more; how many there were."""
    return int(Token.objects.expired().delete()[0])


def _tokens(access: AppAccess) -> "QuerySet[Token]":
    tokens: QuerySet[Token] = Token.objects.filter(user=access.user, client=access.client)
    return tokens


def _tell(access: AppAccess) -> None:
    """Without a mail server the app works all the same."""
    context = {"access": access, "may": wishes(access.scopes), "address": settings.BASE_URL + reverse("apps")}
    text = render_to_string("settings/email/app_let_in.txt", context)
    try:
        send_mail(f"{access.client.name} has access to your account", text, None, [access.user.email])
    except OSError as error:
        log.warning("notice_of_new_app_failed", user_id=access.user_id, why=str(error))
