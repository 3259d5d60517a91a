"""Reading an uploaded export in the background: a committed row that a worker takes up, with its progress to watch.

The row is held by a lock for as long as its worker lives and reads, so a worker that dies gives it back at once, and
two never read the same. The rows read, and that they were read, become visible in one transaction.
"""

import io
from dataclasses import dataclass
from typing import IO, Any

import structlog
from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from kombu.exceptions import OperationalError as QueueDown
from redis.exceptions import RedisError

from brokerhub.archive import reading
from brokerhub.archive.models import ExportPiece, ExportReading, ReadingState
from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.hints import hints
from brokerhub.kernel.models import User

log = structlog.get_logger(__name__)

PIECE = 1024 * 1024  # bytes
MOST_TRIES = 3  # a file whose reading kills its worker is not tried for ever
KEPT = 3600  # seconds that the progress is remembered
FAILED = "It could not be read: something went wrong on our side. Nothing of it is in your account."


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows read so far. `total` is what the file says of itself, 0 until it was opened."""

    done: int = 0
    total: int = 0

    @property
    def percent(self) -> int:
        return min(100 * self.done // self.total, 100) if self.total else 0


def begin(user: User, *, name: str, file: IO[bytes], size: int) -> ExportReading:
    """Keep the file and have it read. Raises NotAllowed while another one is being read, or for a full account."""
    if not reading.is_empty(user):
        raise NotAllowed("There is something in this account already. An export is read into an empty one.")
    try:
        with transaction.atomic():
            made = ExportReading.objects.create(user=user, name=name[:255], size=size)
            for number, content in enumerate(iter(lambda: file.read(PIECE), b"")):
                ExportPiece.objects.create(reading=made, number=number, content=content)
            transaction.on_commit(nudge)
    except IntegrityError as error:
        raise NotAllowed("An export is being read into this account already.") from error
    return made


def nudge() -> None:
    """Have it taken up right now. Best effort: with the queue away, beat finds it later."""
    try:
        current_app.send_task("archive.read_due", retry=False, expires=30)
    except (QueueDown, RedisError, OSError):
        log.warning("archive.nudge_failed", exc_info=True)


def progress(one: ExportReading) -> Progress:
    return Progress(*hints.get(_key(one), (0, 0)))


def read_due() -> int:
    """Read every export that waits and that nobody else is reading; how many. What the task calls."""
    count = 0
    seen: set[Any] = set()
    while (pk := _next(seen)) is not None:
        seen.add(pk)
        count += _read(pk)
    return count


def _next(seen: set[Any]) -> Any:
    """The id of one that waits; its try is counted for itself, so that a killed worker leaves it."""
    waiting = ExportReading.objects.waiting().exclude(pk__in=seen).order_by("created_at")
    with transaction.atomic():
        one = waiting.select_for_update(skip_locked=True, of=["self"]).first()
        if one is None:
            return None
        ExportReading.objects.filter(pk=one.pk).update(tries=F("tries") + 1)
        return one.pk


def _read(pk: Any) -> bool:
    """False when another worker was faster."""
    try:
        with transaction.atomic():
            held = ExportReading.objects.waiting().select_for_update(skip_locked=True, of=["self"])
            one = held.select_related("user").filter(pk=pk).first()
            if one is None:
                return False
            if one.tries > MOST_TRIES:
                raise NotAllowed(FAILED)
            with io.BufferedReader(_Pieces(one), PIECE) as file:
                restored = reading.read(one.user, file, _watched(one))
            _end(pk, ReadingState.DONE, rows=restored.total)
    except HubError as refusal:
        _end(pk, ReadingState.REFUSED, error=str(refusal)[:300])
    except Exception:
        _end(pk, ReadingState.FAILED, error=FAILED)
        raise
    return True


@transaction.atomic
def _end(pk: Any, state: ReadingState, **facts: Any) -> None:
    ExportReading.objects.filter(pk=pk).update(state=state, finished_at=timezone.now(), **facts)
    ExportPiece.objects.filter(reading=pk).delete()


def _watched(one: ExportReading) -> reading.Watched:
    """Beside the transaction, which nobody sees into before it is over."""
    return lambda done, total: hints.set(_key(one), (done, total), KEPT)


def _key(one: ExportReading) -> str:
    return f"export-reading:{one.pk}"


class _Pieces(io.RawIOBase):
    """The uploaded file, of which one piece at a time is read from the database."""

    def __init__(self, one: ExportReading) -> None:
        self._reading, self._size, self._place = one.pk, one.size, 0
        self._number, self._piece = -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(start + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        number, start = divmod(self._place, PIECE)
        if self._place >= self._size:
            return 0
        if number != self._number:
            row = ExportPiece.objects.filter(reading=self._reading, number=number)
            self._number, self._piece = number, bytes(row.values_list("content", flat=True).get())
        part = self._piece[start : start + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)
