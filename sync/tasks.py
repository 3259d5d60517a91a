"""Celery's way in: thin shells, ids in, each may run twice."""

from celery import shared_task
from django.db import InterfaceError, OperationalError

from brokerhub.kernel.outages import NoRoom
from sync import drafts, history, sync_service


@shared_task(name="sync.dispatch")
def dispatch() -> None:
    sync_service.dispatch_due()


@shared_task(name="sync.plan_due")
def plan_due() -> None:
    if sync_service.plan_due():
        sync_service.dispatch_due()


@shared_task(name="sync.run")
def run(run_id: int) -> None:
    sync_service.run_one(run_id)


@shared_task(name="sync.import_file")
def import_file(run_id: int) -> None:
    sync_service.run_one(run_id)


# A run goes on after its lease; nothing would look at a draft for minutes whose check lost the database.
# What waits for longer than the `visibility_timeout` of the settings is handed out again, and again: so it never does.
@shared_task(
    name="sync.check_draft",
    autoretry_for=(OperationalError, InterfaceError, NoRoom),
    retry_backoff=2,
    retry_backoff_max=40,
    max_retries=16,  # over eight minutes, as a disk may be full for so long
)
def check_draft(draft_id: str) -> None:
    drafts.check(draft_id)


@shared_task(name="sync.look_after_drafts")
def look_after_drafts() -> None:
    drafts.check_overdue()
    drafts.delete_abandoned()


@shared_task(name="sync.remove_old")
def remove_old() -> None:
    history.remove_old()
