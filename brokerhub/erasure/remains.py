"""What of a person stands in tables that are not theirs: sign-ins, the operators' log, access still to be ended."""

from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.cached_db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import Model

from brokerhub.erasure.belongings import ways
from brokerhub.kernel.models import OperatorAct, User
from connections.models import AppCredentials, Connection, UnfinishedRevocation

GONE = "(deleted account)"
NOBODY = "deleted-operator@invalid"


def traces(user: User) -> list[str]:
    """Addresses, and ids that other tables may name in a text or a note."""
    addresses = {user.email, *EmailAddress.objects.filter(user=user).values_list("email", flat=True)}
    connections = Connection.objects.for_user(user).values_list("pk", flat=True)
    apps = AppCredentials.objects.filter(owner=user).values_list("pk", flat=True)
    return sorted({*addresses, *map(str, connections), *map(str, apps)})


def end_sessions(user: User) -> None:
    """In every browser. A session names its person inside its sealed content only, so each is opened."""
    for session in Session.objects.iterator():
        if session.get_decoded().get("_auth_user_id") == str(user.pk):
            SessionStore(session.session_key).delete()


def forget_in_log(user: User) -> None:
    """The operators' log keeps that something was done, when and by whom; not to whom, nor what was changed.

    What the person did as an operator stays as well: under the name of nobody. Before the rows themselves are gone.
    """
    for type_id in LogEntry.objects.order_by().values_list("content_type", flat=True).distinct():
        entries = LogEntry.objects.filter(content_type=type_id)
        model = ContentType.objects.get_for_id(type_id).model_class() if type_id else None
        if model is not None:
            own = _own(model, user, list(entries.order_by().values_list("object_id", flat=True).distinct()))
            OperatorAct.objects.filter(entry__in=entries.filter(object_id__in=own)).update(why="")
            entries.filter(object_id__in=own).update(object_repr=GONE, change_message="", object_id=None)
    if LogEntry.objects.filter(user=user).exists():
        nobody = User.objects.filter(email=NOBODY).first()
        nobody = nobody or User.objects.create_user(NOBODY, name="Deleted operator", is_active=False)
        LogEntry.objects.filter(user=user).update(user=nobody)


def _own(model: type[Model], user: User, ids: list[str | None]) -> list[str]:
    if model is User:
        return [str(user.pk)]
    if model not in ways():
        return []
    found = model._base_manager.filter(pk__in=ids, **{ways()[model]: user})
    return [str(pk) for pk in found.values_list("pk", flat=True)]


def let_go_of_access(user: User) -> None:
    """Access that could not be ended yet is tried on, for a day as ever, but it is nobody's any more.

    Not where it was given to an app of the person's own: the app's keys go, and without them no broker listens.
    """
    owed = UnfinishedRevocation.objects.for_user(user).filter(gave_up_at=None)
    owed.exclude(app__owner=user).update(user=None, label="")
