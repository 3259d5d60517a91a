"""What an operator may do to somebody's connection; each leaves an event with the operator as its actor."""

from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from connections import revocation, signals
from connections.connection_manager import renew_now
from connections.models import Connection, UnfinishedRevocation
from connections.moves import move, note
from connections.states import ConnectionState


def check_now(connection: Connection, *, actor: User) -> None:
    """Ask for a sync, which shows in the state whether the connection works. Raises NotAllowed when it cannot run."""
    if connection.is_file or not connection.status.may_sync:
        raise NotAllowed(f"{connection.label} cannot be checked: {connection.get_state_display().lower()}.")
    note(connection, "check_requested", actor=actor)
    signals.check_wanted.send(sender=Connection, connection=connection)


def force_renewal(connection: Connection, *, actor: User) -> None:
    """Renew access now. Raises NotAllowed or BrokerError; a failure that matters has moved the state then."""
    if connection.is_file or not connection.status.may_sync:
        raise NotAllowed(f"{connection.label} has no access to renew: {connection.get_state_display().lower()}.")
    note(connection, "renewal_forced", actor=actor)
    renew_now(connection)


def mark_for_sign_in(connection: Connection, *, actor: User) -> None:
    """Stop using its access until the person has signed in again. Raises NotAllowed where nothing is signed in."""
    if connection.is_file:
        raise NotAllowed(f"{connection.label} is kept by file and has no sign-in.")
    move(connection, ConnectionState.NEEDS_REAUTH, reason_code="by_admin", action="marked_for_sign_in", actor=actor)


def try_to_end_access(owed: UnfinishedRevocation, *, actor: User) -> None:  # as all acts are called
    """Ask the broker now. Raises NotAllowed once the hub has given up, and HubError with what became of it."""
    became = revocation.try_again(owed)
    if became is not revocation.Revocation.DONE:
        raise HubError(f"{became.words}.")
