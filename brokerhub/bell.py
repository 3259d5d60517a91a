"""Beat that goes on ringing when the clock of its machine is set back."""

from datetime import UTC, datetime
from typing import Any

import structlog
from celery.beat import PersistentScheduler

EPOCH = datetime.fromtimestamp(0, UTC)
log = structlog.get_logger(__name__)


class Bell(PersistentScheduler):
    """Celery's own waits until the clock shows once more when each entry last rang: for an hour, after an hour's step.

    A step forward needs nothing: each entry is due, once, and then in its usual rhythm.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Ring one entry that is due; the seconds until the next one is."""
        ahead = [entry for entry in self.schedule.values() if (entry.last_run_at or EPOCH) > entry.default_now()]
        if ahead:
            log.warning("clock_set_back", entries=len(ahead))
            for entry in ahead:
                entry.last_run_at = entry.default_now()
            self._heap = None  # its times are of the old clock, too; it is built anew
        seconds: float = super().tick(*args, **kwargs)
        return seconds
