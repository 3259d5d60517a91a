"""Publishers' files as an operator hands them over: read within limits, refused with all that is wrong at once."""

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from brokerhub.kernel.errors import HubError

MOST_SHOWN = 50  # problems told in one refusal; a file that is wrong throughout is wrong in one way


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: `line` counts from 1, `place` names the cell or element."""

    line: int
    place: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.place}: {self.text}" if self.place else f"line {self.line}: {self.text}"


class FileRefused(HubError):
    """The file is not taken, and nothing of it is stored. `problems` says what is wrong, line by line."""

    code = "file_refused"

    def __init__(self, sentence: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(sentence)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file's name and what it holds, unpacked; `sha256` is of the file as it was handed over."""

    name: str
    content: bytes = field(repr=False)
    sha256: str


def read(path: Path, *, limit: int) -> ReportFile:
    """The file, unpacked when it is .gz or a .zip with one file in it. Raises FileRefused beyond `limit` bytes."""
    try:
        with path.open("rb") as opened:
            packed = opened.read(limit + 1)
    except OSError as error:
        raise FileRefused(f"{path.name} cannot be read: {error.strerror}.") from error
    _check_size(path.name, packed, limit)
    content = _unpacked(path.name, packed, limit)
    _check_size(path.name, content, limit)
    return ReportFile(path.name, content, hashlib.sha256(packed).hexdigest())


def _unpacked(name: str, packed: bytes, limit: int) -> bytes:
    """At most one byte more than `limit`, so that a small file cannot fill the memory."""
    try:
        if packed.startswith(b"\x1f\x8b"):
            with gzip.open(BytesIO(packed)) as opened:
                return opened.read(limit + 1)
        if packed.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(BytesIO(packed)) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
                if len(members) != 1:
                    raise FileRefused(f"{name} holds {len(members)} files. Unpack it and import the one you mean.")
                with archive.open(members[0]) as opened:
                    return opened.read(limit + 1)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise FileRefused(f"{name} cannot be unpacked.") from error
    return packed


def _check_size(name: str, content: bytes, limit: int) -> None:
    if len(content) > limit:
        raise FileRefused(f"{name} is larger than {limit // (1024 * 1024)} MB.")
    if not content:
        raise FileRefused(f"{name} is empty.")


def refuse(sentence: str, problems: Sequence[Problem]) -> None:
    """Raises FileRefused when there are problems."""
    if problems:
        raise FileRefused(sentence, problems)
