"""What a file format is: how it is recognised, and how its rows become the hub's records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from brokerhub.kernel.errors import HubError
from connections.brokers.records import Broker, ParkedRecord, TransactionRecord
from sync.importers.reader import Table

HEAD_ROWS = 30  # titles and preambles come before the header, never more than this

Cells = Sequence[str]


class FileNotRead(HubError):
    """The file cannot be imported; the text says why and what to do instead."""

    code = "file_not_read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """That a file looks like a format: how sure, why in words, and in which row its header stands (from 0)."""

    score: int  # 0 to 100
    reason: str
    header_row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFile:
    """Every data row of a file exactly once, and what a person should know about the rest of it."""

    records: tuple[TransactionRecord | ParkedRecord, ...]
    warnings: tuple[str, ...] = ()


class Format(Protocol):
    key: ClassVar[str]
    label: ClassVar[str]
    broker: ClassVar[Broker]

    def detect(self, head: Sequence[Cells]) -> Match | None:
        """Whether the first HEAD_ROWS rows look like this format."""
        ...

    def parse(self, table: Table) -> ParsedFile:
        """Read all rows. A row that cannot be read is parked with the reason and never stops the others."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookalike:
    """A file people mistake for one we read: recognised by its title or its header, and answered with `advice`."""

    columns: frozenset[str]
    advice: str
    title: str = ""  # how the first cell of the file begins, case-folded

    def recognises(self, head: Sequence[Cells]) -> bool:
        first = head[0][0].strip().casefold() if head and head[0] else ""
        return bool(self.title and first.startswith(self.title)) or find_header(head, self.columns) is not None


def find_header(head: Sequence[Cells], columns: frozenset[str]) -> int | None:
    """Index of the first row that has all `columns` (case-folded), in any order; None when there is none."""
    for index, row in enumerate(head):
        if columns <= {cell.strip().casefold() for cell in row}:
            return index
    return None
