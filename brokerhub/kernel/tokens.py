"""API tokens: made with a name, scopes and an end, counted while they work, revoked by their owner or an operator."""

from collections.abc import Iterable
from datetime import timedelta

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from brokerhub.kernel import audit
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.hints import hints
from brokerhub.kernel.models import ApiToken, Scope, User

log = structlog.get_logger(__name__)

MOST = 50  # tokens a person may have
COUNTED_DAYS = 7


@transaction.atomic
def make(*, user: User, name: str, scopes: Iterable[str], lasts: timedelta) -> tuple[ApiToken, str]:
    """The row, and the token itself, which nothing keeps: show it now or never. A mail tells the person.

    Raises NotAllowed for more tokens than anybody needs.
    """
    if ApiToken.objects.filter(user=user).count() >= MOST:
        raise NotAllowed(f"You have {MOST} tokens, which is as many as there can be. Revoke one that you do not need.")
    row, token = ApiToken.objects.create(user=user, name=name, scopes=sorted(scopes), expiry=lasts)
    audit.note(by=user, about=row, flag=audit.ADDITION, did=f"Made, with {', '.join(row.scopes)}.")
    transaction.on_commit(lambda: _tell(row))
    return row, token


@transaction.atomic
def revoke(token: ApiToken, *, by: User) -> None:
    """From now on it opens nothing."""
    audit.note(by=by, about=token, flag=audit.DELETION, did="Revoked.")
    token.delete()


def _tell(token: ApiToken) -> None:
    """A token made by somebody else shall not stay unseen. Without a mail server the token works all the same."""
    with timezone.override(token.user.timezone):
        context = {
            "token": token,
            "may": [Scope(scope).label for scope in token.scopes],
            "address": settings.BASE_URL + reverse("tokens"),
        }
        text = render_to_string("settings/email/token_made.txt", context)
    try:
        send_mail(f'A new API token: "{token.name}"', text, None, [token.user.email])
    except OSError as error:
        log.warning("notice_of_new_token_failed", user_id=token.user_id, why=str(error))


# --- How much a token is used: a hint for its owner, kept in Redis for a week -----------------------------------------
def count_use(token: ApiToken) -> None:
    key = _keys([token])[0]
    hints.add(key, 0, timeout=(COUNTED_DAYS + 1) * 24 * 3600)
    try:
        hints.incr(key)
    except ValueError:  # gone between the two: one request of a week is not counted
        log.debug("use_not_counted", row=token.pk)


def uses(tokens: Iterable[ApiToken]) -> dict[int, int]:
    """Requests of the last seven days (today included), for each token by its id."""
    rows = list(tokens)
    counts = hints.get_many([key for row in rows for key in _keys([row], days=COUNTED_DAYS)])
    return {row.pk: sum(counts.get(key, 0) for key in _keys([row], days=COUNTED_DAYS)) for row in rows}


def _keys(tokens: Iterable[ApiToken], *, days: int = 1) -> list[str]:
    today = timezone.now().date()
    return [f"token-use:{row.pk}:{today - timedelta(days=ago)}" for row in tokens for ago in range(days)]
