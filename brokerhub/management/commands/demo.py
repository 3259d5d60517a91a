"""`manage.py demo`: the demo person with a synced connection, made or renewed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aggregation.models import Transaction
from brokerhub import demo
from brokerhub.kernel.errors import HubError


class Command(BaseCommand):
    help = "Make or renew the demo user with a Schwab connection in the sandbox. Needs a running worker and sandbox."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run = demo.prepare()
        except HubError as error:
            raise CommandError(str(error)) from error
        count = Transaction.objects.in_books().filter(account__connection=run.connection).count()
        self.stdout.write(f"The demo portfolio has {count} transactions.")
        self.stdout.write(f"Sign in as {demo.EMAIL} with the password {demo.PASSWORD}")
