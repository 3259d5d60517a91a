"""The bytes of a kept file, fetched from the database piece by piece instead of all at once."""

import io
from typing import BinaryIO, cast

from django.db import connection

from sync.importers.reader import SLICE_BYTES
from sync.models import ImportFile


def open_stored(file: ImportFile) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Stored(file.run_id, file.size), SLICE_BYTES))


class _Stored(io.RawIOBase):
    """Reads `content` by ranges; it is stored uncompressed (migration 0010), so a range costs no more than its size."""

    def __init__(self, run_id: int, size: int) -> None:
        self._run_id, self._size, self._at = run_id, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begins = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = begins + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # its stub asks for a type of typeshed's own
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT substring(content FROM %s FOR %s) FROM {ImportFile._meta.db_table} WHERE run_id = %s",
                [self._at + 1, len(buffer), self._run_id],
            )
            (piece,) = cursor.fetchone()
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
