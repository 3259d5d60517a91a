#!/usr/bin/env python
"""Django's command line. The sandbox has settings of its own, so that it needs neither PostgreSQL nor Redis."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    sandbox = sys.argv[1:2] == ["sandbox"]
    os.environ["DJANGO_SETTINGS_MODULE"] = "connections.sandbox.settings" if sandbox else "brokerhub.settings"
    execute_from_command_line(sys.argv)
