"""What an operator may do to a person's ways in: end them. Nobody but the person makes new ones."""

from allauth.usersessions.models import UserSession

from brokerhub.kernel import tokens
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import ApiToken, User

# `actor` is in the log's line, which is written for every act alike.


def end_sessions(person: User, *, actor: User) -> None:
    """Raises NotAllowed when nobody is signed in."""
    sessions = list(UserSession.objects.filter(user=person))
    if not sessions:
        raise NotAllowed("There is no device this person is signed in with.")
    for session in sessions:
        session.end()


def end_session(session: UserSession, *, actor: User) -> None:
    session.end()


def revoke_tokens(person: User, *, actor: User) -> None:
    """Raises NotAllowed when there is none."""
    found = list(ApiToken.objects.filter(user=person))
    if not found:
        raise NotAllowed("This person has no API token.")
    for token in found:
        tokens.revoke(token, by=actor)
