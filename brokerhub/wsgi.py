"""The web server's way in: `gunicorn brokerhub.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerhub.settings")
application = get_wsgi_application()
