"""The web server's way in: `gunicorn --preload brokerhub.wsgi` loads it once, and forks its workers."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerhub.settings")
application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018  # every page is loaded now, once, and no visitor is the first to wait for it
gc.collect()
gc.freeze()  # a collection that does not look at what is loaded leaves its memory shared with the workers
