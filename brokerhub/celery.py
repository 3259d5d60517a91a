"""The Celery app and what beat starts. Beat only rings the bell: the work due is in committed rows."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerhub.settings")

app = Celery("brokerhub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"].add(DjangoStructLogInitStep)
app.autodiscover_tasks()


@celeryd_after_setup.connect
def _share_memory(**kwargs: Any) -> None:
    """What is loaded stays: a collection that does not look at it leaves its pages shared with the processes forked."""
    gc.collect()
    gc.freeze()


app.conf.beat_schedule = {
    "remove-expired-access": {
        "task": "brokerhub.identity.remove_expired",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "heartbeat": {"task": "brokerhub.kernel.heartbeat", "schedule": 15.0, "options": {"expires": 15}},
    "dispatch-syncs": {"task": "sync.dispatch", "schedule": 10.0, "options": {"expires": 10}},
    "plan-syncs": {"task": "sync.plan_due", "schedule": 60.0, "options": {"expires": 60}},
    "reconcile": {"task": "aggregation.reconcile", "schedule": 15.0, "options": {"expires": 15}},
    "look-after-drafts": {"task": "sync.look_after_drafts", "schedule": 60.0, "options": {"expires": 60}},
    "watch-queues": {"task": "brokerhub.watch_queues", "schedule": 60.0, "options": {"expires": 60}},
    "remove-old-rows": {"task": "brokerhub.remove_old", "schedule": 3600.0, "options": {"expires": 3600}},
    "remove-old-logs": {"task": "sync.remove_old", "schedule": 3600.0, "options": {"expires": 3600}},
    "delete-accounts": {"task": "brokerhub.delete_accounts", "schedule": 30.0, "options": {"expires": 30}},
    "send-receipts": {"task": "brokerhub.send_receipts", "schedule": 60.0, "options": {"expires": 60}},
    "renew-credentials": {"task": "connections.renew_due", "schedule": 60.0, "options": {"expires": 60}},
    "end-access": {"task": "connections.revoke_due", "schedule": 60.0, "options": {"expires": 60}},
    "remind-of-endings": {"task": "connections.remind_due", "schedule": 60.0, "options": {"expires": 60}},
    "read-reference-rates": {"task": "aggregation.read_reference_rates", "schedule": 30.0, "options": {"expires": 30}},
    "read-prices": {"task": "aggregation.read_prices", "schedule": 60.0, "options": {"expires": 60}},
    "read-values": {"task": "aggregation.read_values", "schedule": 60.0, "options": {"expires": 60}},
    "keep-history": {"task": "aggregation.keep_history", "schedule": 30.0, "options": {"expires": 30}},
    "read-exports": {"task": "archive.read_due", "schedule": 30.0, "options": {"expires": 30}},
    "probe-brokers": {"task": "health.probe", "schedule": 5.0, "options": {"expires": 5}},
    "watch-brokers": {"task": "health.watch", "schedule": 10.0, "options": {"expires": 10}},
    "read-maintenance-feeds": {"task": "health.read_feeds", "schedule": 3600.0, "options": {"expires": 3600}},
    "dispatch-webhooks": {"task": "webhooks.dispatch", "schedule": 10.0, "options": {"expires": 10}},
    "remove-old-webhooks": {"task": "webhooks.remove_old", "schedule": 3600.0, "options": {"expires": 3600}},
    "remove-old-keys": {"task": "brokerhub.kernel.remove_old_keys", "schedule": 3600.0, "options": {"expires": 3600}},
    "remove-old-measurements": {"task": "health.remove_old", "schedule": 3600.0, "options": {"expires": 3600}},
}
