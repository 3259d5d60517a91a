"""Celery shells over health's services."""

from celery import shared_task

from health import alerts, feeds, probes, retention, views, watching


@shared_task(name="health.probe")
def probe() -> None:
    probes.probe_all()


@shared_task(name="health.remove_old")
def remove_old() -> None:
    retention.remove_old()


@shared_task(name="health.watch")
def watch() -> None:
    if watching.watch():
        alerts.send_due()
        views.render_widget()


@shared_task(name="health.read_feeds")
def read_feeds() -> None:
    feeds.read_all()
