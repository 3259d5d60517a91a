"""What health tells the other parts of the hub, in the transaction that remembers it: once, and not never."""

from django.dispatch import Signal

maintenance_moment = Signal()
"""Once per moment of each occurrence: `occurrence: Occurrence` and `moment: Moment`. Webhooks listen to it."""

status_changed = Signal()
"""A broker as a whole came into another state than it was last known in: `health: BrokerHealth`, `before: Status`,
`incident: Incident | None`, the one that is open now."""
