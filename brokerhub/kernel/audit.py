"""Who did what to what, outside the books: rows of Django's own log, which the admin shows as an object's history."""

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from brokerhub.kernel.models import User

__all__ = ["ADDITION", "CHANGE", "DELETION", "note"]


def note(*, by: User, about: Model, flag: int, did: str) -> None:
    """Call it inside the transaction of the deed, before a deleted object loses its id. No secret in `did`."""
    LogEntry.objects.create(
        user=by,
        content_type=ContentType.objects.get_for_model(about),
        object_id=str(about.pk),
        object_repr=str(about)[:200],
        action_flag=flag,
        change_message=did,
    )
