"""`manage.py restore PATH`: a backup in the place of the database, or only a check that it could be."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.cache import cache
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from brokerhub.backup import reading
from brokerhub.kernel.errors import HubError


class Command(BaseCommand):
    help = "Check a backup and put it in the database's place, whole or not at all. Stop the hub's processes first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--check", action="store_true", help="Only check that it is complete and unchanged.")
        parser.add_argument("--replace", default="", metavar="DATABASE", help="Give up the data in this database.")
        parser.add_argument("--without-keys", action="store_true", help="Take a backup whose key is not here.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backup = reading.check(options["path"])
            rows, made_at = sum(backup.manifest["rows"].values()), backup.manifest["made_at"]
            self.stdout.write(f"A complete backup of {made_at} with {rows:,} rows.")
            if options["check"]:
                return
            reading.restore(connection, backup, replace=options["replace"], without_keys=options["without_keys"])
        except HubError as error:
            raise CommandError(str(error)) from error
        cache.clear()  # it knows a database that is no more
        call_command("migrate", interactive=False, verbosity=0)
        self.stdout.write("Restored. Start the hub; everybody signs in again.")
