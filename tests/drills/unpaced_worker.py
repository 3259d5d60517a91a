"""A worker that knows of no limit at Schwab: `python -m tests.drills.unpaced_worker -A brokerhub worker ...`."""

import os

import django
from celery.__main__ import main

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerhub.settings")
    django.setup()
    from connections.brokers import schwab

    schwab.CALLS_PER_MINUTE = 1_000_000  # the drill is about who waits for whom, and would last an hour else
    main()
