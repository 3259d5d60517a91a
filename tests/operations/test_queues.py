"""A queue that nobody works off is seen: in the log, on the operators' page, and by Prometheus."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.test import Client
from django.utils import timezone
from kombu import Connection
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from brokerhub import queues, tasks
from brokerhub.celery import app
from brokerhub.kernel.models import User
from health.verdicts import Status

pytestmark = pytest.mark.django_db
RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus-rules.yml"


def empty() -> None:
    with app.connection_for_write() as line, line.channel() as channel:
        for queue in settings.CELERY_TASK_QUEUES:
            queue(channel).purge()


@pytest.fixture
def sent() -> Iterator[Callable[..., None]]:
    """Puts a task that nobody knows into the queue of files, as if so many minutes ago."""
    empty()

    def send(minutes_ago: float = 0, **how: Any) -> None:
        due = timezone.now() - timedelta(minutes=minutes_ago)
        app.send_task("nobody.reads.this", queue="files", **({"eta": due} if minutes_ago else how))

    yield send
    empty()


def of_files() -> queues.Line:
    return next(line for line in queues.lines() if line.queue == "files")


def test_an_empty_queue_waits_for_nobody(sent: Callable[..., None]) -> None:
    assert of_files() == queues.Line("files", 0, None)
    assert queues.watch() == []


def test_a_queue_is_as_late_as_its_oldest_task(sent: Callable[..., None]) -> None:
    sent(minutes_ago=5)
    sent()
    line = of_files()
    assert line.tasks == 2
    assert 300 <= line.seconds < 360
    with capture_logs() as log:
        tasks.watch_queues()
    [told] = [entry for entry in log if entry["event"] == "queue_waits_too_long"]
    assert (told["queue"], told["tasks"], told["log_level"]) == ("files", 2, "error")


def test_a_task_for_later_is_not_late_before(sent: Callable[..., None]) -> None:
    sent(countdown=3600)
    assert of_files().seconds == 0
    assert queues.watch() == []


def test_operators_see_which_queue_waits(sent: Callable[..., None], sign_up: Any) -> None:
    desk = sign_up(User.objects.create_superuser("operator@example.com", "correct horse battery"))
    assert "the oldest due" not in desk.get("/admin/").content.decode()
    sent(minutes_ago=5)
    shown = desk.get("/admin/").content.decode()
    assert re.search(r"Queue <code>files</code>: 1 task,\s+the oldest due", shown)


def test_operators_are_told_when_the_queues_cannot_be_read(sign_up: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = sign_up(User.objects.create_superuser("operator@example.com", "correct horse battery"))
    monkeypatch.setattr(app, "connection_for_read", lambda: Connection("redis://127.0.0.1:1/0"))
    assert "The queues cannot be read: Redis is away" in desk.get("/admin/").content.decode()


def test_every_alert_is_about_something_that_the_hub_tells(
    sent: Callable[..., None], client: Client, settings: Any
) -> None:
    settings.METRICS_TOKEN = "a secret of Prometheus"
    sent(minutes_ago=5)
    text = client.get("/metrics", headers={"Authorization": "Bearer a secret of Prometheus"}).content.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    oldest = {sample.labels["queue"]: sample.value for sample in families["hub_queue_oldest_seconds"].samples}
    assert oldest["files"] >= 300
    assert oldest["default"] == 0
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"\bhub_\w+", rule["expr"])}
    assert len(asked) > 8
    declared = set(families) | {"hub_worker_heartbeat_age_seconds"}  # not told before the first heartbeat
    assert asked <= declared
    words = {
        word for rule in rules for said in re.findall(r'status=~"([^"]+)"', rule["expr"]) for word in said.split("|")
    }
    assert words <= {status.value for status in Status}


def test_no_task_waits_for_so_long_that_redis_hands_it_out_again() -> None:
    app.autodiscover_tasks(force=True)  # its loader would set up Django, and with it the log, a second time
    transport: Any = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    waiting = [task for task in app.tasks.values() if getattr(task, "autoretry_for", ())]
    assert waiting, "what is tried again by itself"
    for task in waiting:
        longest = getattr(task, "retry_backoff_max", 600)  # Celery's own
        assert longest < transport["visibility_timeout"], task.name
