"""Deletes accounts: asked for on a page, done by a worker, which may die anywhere and is followed by another."""

import structlog
from django.db import transaction
from django.utils import timezone

from brokerhub.erasure import receipts, remains
from brokerhub.erasure.belongings import held
from brokerhub.erasure.models import LEASE, AccountDeletion
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import ApiToken, User
from connections import connection_manager
from connections.models import Connection
from connections.revocation import Revocation
from health import retention as health_retention

log = structlog.get_logger(__name__)


@transaction.atomic
def ask(user: User) -> AccountDeletion:
    """From now on nobody gets in as this person, and a worker erases all of it. Raises NotAllowed for operators."""
    if user.is_staff:
        raise NotAllowed("You are an operator of this hub. Let another operator take your rights away first.")
    known = {"rows": held(user), "traces": remains.traces(user)}
    deletion, _ = AccountDeletion.objects.get_or_create(user=user, defaults=known)
    User.objects.filter(pk=user.pk).update(is_active=False)
    remains.forget_rows_in_log(user, ApiToken)
    ApiToken.objects.filter(user=user).delete()
    remains.end_sessions(user)
    log.info("account_deletion_asked", user_id=user.pk)
    return deletion


def work_off() -> int:
    """Delete every account that is due; how many were. One failure does not stop the others."""
    done, bugs = 0, []
    for deletion in AccountDeletion.objects.due().select_related("user"):
        try:
            if AccountDeletion.objects.claim(deletion.pk):
                _erase(deletion)
                done += 1
        except Exception as error:  # raised below, after the others have had their turn
            bugs.append(error)
    if bugs:
        raise ExceptionGroup("accounts could not be deleted", bugs)
    return done


def _erase(deletion: AccountDeletion) -> None:
    user = deletion.user
    remains.forget_in_log(user, deletion.traces)
    for connection in Connection.objects.for_user(user).order_by("created_at"):
        _leave(deletion, connection)
    _remove(deletion)
    log.info("account_deleted", rows=sum(deletion.rows.values()), connections=len(deletion.access))


def _leave(deletion: AccountDeletion, connection: Connection) -> None:
    """End the access at the broker and erase the connection's books, as when somebody disconnects it.

    Its line is written before: a worker killed while the broker answers leaves no connection for the next one to find.
    """
    expected = _if_the_broker_does_not_answer(connection)
    line = {
        "connection": str(connection.pk),
        "broker": connection.get_broker_display(),
        "label": connection.label,
        "outcome": expected.words,
        "left": "" if connection.state == "disconnected" else connection_manager.left_to_do(connection),
    }
    before = [each for each in deletion.access if each.get("connection") != line["connection"]]
    deletion.access = [*before, line]
    AccountDeletion.objects.filter(pk=deletion.pk).update(access=deletion.access, held_until=timezone.now() + LEASE)
    receipt = connection_manager.disconnect(connection=connection, actor=deletion.user, keep_history=False)
    line["outcome"] = (expected if receipt.revocation is Revocation.RETRYING else receipt.revocation).words
    AccountDeletion.objects.filter(pk=deletion.pk).update(access=deletion.access)


def _if_the_broker_does_not_answer(connection: Connection) -> Revocation:
    """What becomes of access that is not ended at once. Asked before leaving, which lets go of the app."""
    if connection.is_file or not connection.sealed_credentials:
        return Revocation.NOT_OFFERED
    own_app = connection.app is not None and connection.app.owner_id  # its keys go with the person
    return Revocation.FAILED if own_app else Revocation.RETRYING


@transaction.atomic
def _remove(deletion: AccountDeletion) -> None:
    """All that is left, and the person; what is to be told to them stays, sealed."""
    remains.end_sessions(deletion.user)
    remains.let_go_of_access(deletion.user)
    health_retention.remove_old()  # what was measured of connections that are no more
    receipt = receipts.Receipt(
        email=deletion.user.email,
        user_id=deletion.user_id,
        traces=deletion.traces,
        requested_at=deletion.requested_at,
        done_at=timezone.now(),
        rows=deletion.rows,
        access=deletion.access,
    )
    User.objects.get(pk=deletion.user_id).delete()
    receipts.keep(receipt)
