"""What health tells the other parts of the hub."""

from django.dispatch import Signal

maintenance_moment = Signal()
"""Sent once per moment of each occurrence, after the commit, with `occurrence: Occurrence` and `moment: Moment`.
Webhooks listen to it."""
