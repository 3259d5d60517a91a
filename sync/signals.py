"""What syncs tell the apps on their right, inside the transaction or with the statement that writes it."""

from django.dispatch import Signal

run_progressed = Signal()
"""A run has begun, finished a part of its work, or waits: `run_id`."""

run_ended = Signal()
"""A run is over, whatever came of it, also when it was cancelled: `run_id`. In the transaction that ends it."""
