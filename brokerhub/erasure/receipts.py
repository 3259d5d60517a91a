"""Tells people what was deleted. A receipt is kept, sealed, from the erasure until its mail has left.

So neither a crash nor a mail server that is away loses one. A worker that dies between mail and row sends it twice.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import structlog
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import timezone

from brokerhub.erasure import proof
from brokerhub.erasure.models import LONGEST_WAIT, DeletionReceipt
from connections import credentials

log = structlog.get_logger(__name__)

FIRST_WAIT = timedelta(minutes=1)  # each as long again as the one before
GOES_ON_FOR = timedelta(days=7)  # then the address must go, too


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What was done for a person whom the hub does not know any more."""

    email: str
    user_id: int
    traces: list[str]
    requested_at: datetime
    done_at: datetime
    rows: dict[str, int]
    access: list[dict[str, str]]
    found: proof.Search | None = None  # until it was searched for


def keep(receipt: Receipt) -> None:
    """Call it in the transaction in which the person goes, so that there is never one without the other."""
    row = DeletionReceipt()
    row.sealed_content = _sealed(row, receipt)
    row.save()


def read(row: DeletionReceipt) -> Receipt:
    """Raises CredentialsUnreadable."""
    values = credentials.unseal(bytes(row.sealed_content), owner=row.seal_owner)
    for name in ("requested_at", "done_at"):
        values[name] = datetime.fromisoformat(values[name])
    found = values.pop("found")
    return Receipt(**values, found=proof.Search(**found) if found else None)


def _sealed(row: DeletionReceipt, receipt: Receipt) -> bytes:
    moments = {name: getattr(receipt, name).isoformat() for name in ("requested_at", "done_at")}
    return credentials.seal(asdict(receipt) | moments, owner=row.seal_owner)


def send_due() -> None:
    """Send what is due. One failure does not stop the others."""
    bugs = []
    for row in DeletionReceipt.objects.due():
        try:
            if DeletionReceipt.objects.claim(row.pk):
                _send(row)
        except Exception as error:  # raised below, after the others have had their turn
            bugs.append(error)
    if bugs:
        raise ExceptionGroup("receipts could not be sent", bugs)


def _send(row: DeletionReceipt) -> None:
    try:
        receipt = _searched(row)
        text = render_to_string("settings/email/account_deleted.txt", {"receipt": receipt})
        send_mail("Your account is deleted", text, None, [receipt.email])
    except OSError as error:  # as all errors of mail are
        _put_off(row, error)
    except Exception as error:
        _put_off(row, error)
        raise
    else:
        row.delete()


def _searched(row: DeletionReceipt) -> Receipt:
    """With the outcome of the search, which is made once: an outage of mail must not read all tables each hour."""
    receipt = read(row)
    if receipt.found is not None:
        return receipt
    found = proof.search(user_id=receipt.user_id, words=receipt.traces)
    if found.left_in:
        log.error("account_left_traces", tables=found.left_in)
    receipt = replace(receipt, found=found)
    DeletionReceipt.objects.filter(pk=row.pk).update(sealed_content=_sealed(row, receipt))
    return receipt


def _put_off(row: DeletionReceipt, error: Exception) -> None:
    """Logs the kind of error only: what a mail server says names the address."""
    now = timezone.now()
    facts = {"receipt_id": str(row.pk), "attempts": row.attempts + 1, "error": type(error).__name__}
    if now - row.made_at > GOES_ON_FOR:
        log.error("deletion_receipt_given_up", **facts)
        row.delete()
        return
    log.warning("deletion_receipt_put_off", **facts)
    wait = min(FIRST_WAIT * 2 ** min(row.attempts, 6), LONGEST_WAIT)
    DeletionReceipt.objects.filter(pk=row.pk).update(next_at=now + wait)
