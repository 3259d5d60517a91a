"""The hub's frame. Celery's app is loaded with it, so that `shared_task` finds it in every process."""

from brokerhub.celery import app as celery_app

__all__ = ["celery_app"]
