"""What an operator may decide about edits of the catalogue."""

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.models import User
from comparison import editing
from comparison.models import FactEdit
from comparison.price_words import NotReadable


def approve_edit(edit: FactEdit, *, actor: User) -> None:
    """Raises HubError; a value that the engine cannot compute with is refused in its words."""
    try:
        editing.approve(edit, by=actor)
    except NotReadable as error:
        raise HubError(str(error)) from error


def reject_edit(edit: FactEdit, *, actor: User) -> None:
    editing.reject(edit, by=actor)
