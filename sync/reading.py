"""An uploaded file with what a person said about it, into rows. The one way for preview, import and hand-back."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, BinaryIO

from brokerhub.kernel.garbage import search_paused
from brokerhub.kernel.models import User
from sync import file_words, importers
from sync.import_models import UploadedFile
from sync.importers import reader
from sync.importers.base import Choices, FileNotRead, Format, Match, ParsedFile, Passage
from sync.importers.mapped import MappedFormat
from sync.importers.mapping import ColumnMapping
from sync.importers.reader import Source
from sync.mending import delimiter_of, mended, without_remarks

MAPPED = MappedFormat.key


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFound:
    """A file and how it is to be understood, before its rows are read."""

    format: Format
    match: Match
    source: Source  # mended
    said: Choices
    delimiter: str  # "" for markup
    numbers: dict[int, int] = field(default_factory=dict)  # of parked rows handed back, by line

    def open(self) -> Passage:
        """Its rows one by one. Raises FileNotRead or FileUnreadable, here or on the way."""
        return self.format.open(self.source, self.said)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRead(FileFound):
    """A file as it was understood."""

    parsed: ParsedFile


def choose(source: Source, key: str, mapping: Mapping[str, Any] | None) -> tuple[Format, Match]:
    """The format a file is to be read as, and why. Raises FileNotRead, FileUnreadable or MappingRefused."""
    if key != MAPPED:
        return importers.detect(source, format_key=key)
    if mapping is None:
        raise FileNotRead("Say first what the columns of this file are.")
    if source.is_markup:
        raise FileNotRead("This file is no table of rows and columns.")
    format = MappedFormat(ColumnMapping.from_dict(mapping))
    match = format.detect(source)
    if match is None:
        raise FileNotRead("The file lacks columns that your mapping names. Say again what its columns are.")
    return format, Match(score=match.score, reason="The file has all columns you named.")


def format_of(file: UploadedFile) -> Format:
    """The format a file was said to be of. Raises FileNotRead or MappingRefused."""
    if file.format == MAPPED:
        return MappedFormat(ColumnMapping.from_dict(file.mapping))
    if file.format not in importers.FORMATS:
        raise FileNotRead("Say first what kind of file this is.")
    return importers.FORMATS[file.format]


def recognise(
    content: bytes, name: str, *, format: str = "", mapping: Mapping[str, Any] | None = None
) -> tuple[Format, Match]:
    """As `choose`, from the bytes of the file."""
    source, _ = without_remarks(reader.read(content, name))
    return choose(source, format or (MAPPED if mapping else ""), mapping)


def find(file: UploadedFile, user: User, open: Callable[[], BinaryIO] | None = None) -> FileFound:
    """A file of `user`, whose own words for things count. `open` gives its bytes where they are not to be loaded whole.

    Raises FileNotRead, FileUnreadable or MappingRefused.
    """
    told = reader.read_from(open or (lambda: io.BytesIO(bytes(file.content))), file.name)
    source, numbers = without_remarks(told)
    format, match = choose(source, file.format, file.mapping)
    delimiter = "" if source.is_markup else delimiter_of(format, source, file.said)
    if file.fixes and delimiter:
        source = mended(source, file.mended, delimiter)
    said = replace(file.said, words=file_words.known_to(user, format))
    return FileFound(format=format, match=match, source=source, said=said, delimiter=delimiter, numbers=numbers)


@search_paused()
def read(file: UploadedFile, user: User) -> FileRead:
    """As `find`, with all its rows."""
    found = find(file, user)
    parsed = found.format.parse(found.source, found.said)
    return FileRead(**{part.name: getattr(found, part.name) for part in fields(found)}, parsed=parsed)
