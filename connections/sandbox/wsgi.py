"""The server's way into the sandbox."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "connections.sandbox.settings"
application = get_wsgi_application()
