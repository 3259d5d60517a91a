"""Uploads stop at the limit, before their bytes reach memory or disk."""

from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

MOST = settings.UPLOAD_MAX_BYTES // 1024 // 1024
TOO_LARGE = f"This is too large. A file may have up to {MOST} MB: export a shorter period, and import it in parts."
FORM_ALLOWANCE = 64 * 1024  # bytes of the other fields and of the multipart frame


class LimitedUpload(FileUploadHandler):
    """The first upload handler. Raises RequestDataTooBig when more than `most` bytes are announced or come; without it
    UPLOAD_MAX_BYTES is the most."""

    most: ClassVar[int] = 0
    too_large: ClassVar[str] = TOO_LARGE
    received = 0

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        if content_length > self._limit + FORM_ALLOWANCE:
            self._refuse()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.received += len(raw_data)
        if self.received > self._limit:
            self._refuse()
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None  # the next handler makes the file

    @property
    def _limit(self) -> int:
        return self.most or settings.UPLOAD_MAX_BYTES

    def _refuse(self) -> None:
        raise RequestDataTooBig(self.too_large)
