"""What of a person stands in tables that are not theirs: sign-ins, the operators' log, access still to be ended."""

from collections.abc import Collection

from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.cached_db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import Model, Q, QuerySet

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


def forget_in_log(user: User, words: Collection[str]) -> None:
    """The operators' log keeps that something was done, when and by whom; not to whom, nor what was changed.

    What the person did as an operator stays as well: under the name of nobody. Before the rows themselves are gone.
    """
    for type_id in LogEntry.objects.order_by().values_list("content_type", flat=True).distinct():
        model = ContentType.objects.get_for_id(type_id).model_class() if type_id else None
        if model is not None:
            forget_rows_in_log(user, model)
    for word in words:
        named = Q(object_repr__icontains=word) | Q(change_message__icontains=word) | Q(object_id__icontains=word)
        _forget(LogEntry.objects.filter(named))
        OperatorAct.objects.filter(why__icontains=word).update(why="")
    if LogEntry.objects.filter(user=user).exists():
        nobody = User.objects.filter(email=NOBODY).first()
        nobody = nobody or User.objects.create_user(NOBODY, name="Deleted operator", is_active=False)
        LogEntry.objects.filter(user=user).update(user=nobody)


def forget_rows_in_log(user: User, model: type[Model]) -> None:
    """The same for one table. Rows that go earlier than the others are named here before they do."""
    entries = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(model, for_concrete_model=False))
    if model is User:
        _forget(entries.filter(object_id=str(user.pk)))
    elif model in ways():
        _forget(entries.filter(object_id__in=_there(model, entries, **{ways()[model]: user})))
        _forget(_noted_of_rows_gone(user, model, entries))


def _noted_of_rows_gone(user: User, model: type[Model], entries: "QuerySet[LogEntry]") -> "QuerySet[LogEntry]":
    """What the person noted of tokens they revoked and apps they sent away. Whose a row was that is gone nobody can
    tell, but operators give reasons for what they end."""
    noted = entries.filter(Q(act=None) | Q(act__why=""), user=user)
    return noted.exclude(object_id__in=_there(model, noted))


def _there(model: type[Model], entries: "QuerySet[LogEntry]", **whose: User) -> list[str]:
    """Ids of the rows that the entries are about and that still exist."""
    ids = list(entries.order_by().values_list("object_id", flat=True).distinct())
    return [str(pk) for pk in model._base_manager.filter(pk__in=ids, **whose).values_list("pk", flat=True)]


def _forget(entries: "QuerySet[LogEntry]") -> None:
    OperatorAct.objects.filter(entry__in=entries).update(why="")
    entries.update(object_repr=GONE, change_message="", object_id=None)


def let_go_of_access(user: User) -> None:
    """Access that could not be ended yet is tried on, for a day as ever, but it is nobody's any more.

    Not where it was given to an app of the person's own: the app's keys go, and without them no broker listens.
    """
    owed = UnfinishedRevocation.objects.for_user(user).filter(gave_up_at=None)
    owed.exclude(app__owner=user).update(user=None, label="")
