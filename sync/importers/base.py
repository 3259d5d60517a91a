"""What a file format is: how it is recognised, and what reading a file of it gives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from brokerhub.kernel.errors import HubError
from connections.brokers.records import Broker, ParkedRecord, TransactionKind, TransactionRecord
from sync.importers.reader import Cells, Source

Record = TransactionRecord | ParkedRecord


class FileNotRead(HubError):
    """The file cannot be imported; the text says why and what to do instead."""

    code = "file_not_read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """That a file looks like a format: how sure, and why in words."""

    score: int  # 0 to 100
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a person said about a file where it does not say it itself; "" leaves it to the format and the file."""

    date_order: str = ""  # one of dates.ORDERS
    decimal: str = ""  # one of numbers.DECIMALS
    delimiter: str = ""
    currency: str = ""  # ISO code, of rows that name none
    words: Mapping[str, TransactionKind] = field(default_factory=dict)  # folded; what the format's own table lacks


AS_PRINTED = Choices()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguity:
    """A question only a person can answer: nothing of the file may be booked until `Choices.<about>` is given."""

    about: str  # the name of a field of Choices
    question: str
    options: tuple[tuple[str, str], ...]  # its possible values, each with how the first example would then read
    examples: tuple[str, ...]  # cells of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One data row of the file and what it became: one record, or the legs of one exchange of currencies."""

    line: int  # of the file, from 1, where the row begins
    records: tuple[Record, ...]
    account_hint: str = ""  # the account as the file names it; "" when it does not
    warnings: tuple[str, ...] = ()  # what makes the row worth a look; it is booked all the same
    word: str = ""  # what it calls itself, where nobody said yet what that means
    before: tuple[Record, ...] = ()  # what it would be without the person's own rule; () where none was needed

    @property
    def retold(self) -> tuple[tuple[TransactionRecord, TransactionRecord], ...]:
        """(before, now) of each record that the person's own rule made another, as far as both can be read."""
        pairs = zip(self.before, self.records, strict=False) if len(self.before) == len(self.records) else ()
        return tuple(
            (before, now)
            for before, now in pairs
            if isinstance(before, TransactionRecord) and isinstance(now, TransactionRecord) and not now.external_id
        )

    @property
    def is_parked(self) -> bool:
        return any(isinstance(record, ParkedRecord) for record in self.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A row that tells no transaction (a total, a footer, a restatement), with the reason in words."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFile:
    """Every row below the header exactly once, but for blank ones: in `rows` or in `skipped`."""

    rows: tuple[FileRow, ...]
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    questions: tuple[Ambiguity, ...] = ()  # while there are any, `rows` is one of the possible readings

    def __iter__(self) -> Iterator[FileRow]:
        return iter(self.rows)

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(record for row in self.rows for record in row.records)

    @property
    def accounts(self) -> dict[str, tuple[FileRow, ...]]:
        """The rows by the account the file names, in the order it names them; one group "" when it names none."""
        groups: dict[str, list[FileRow]] = {}
        for row in self.rows:
            groups.setdefault(row.account_hint, []).append(row)
        return {hint: tuple(rows) for hint, rows in groups.items()}


class Passage(Protocol):
    """One way through a file, row by row: a `ParsedFile`, or what makes its rows while they are asked for.

    Going through it raises FileNotRead or reader.FileUnreadable where the file gives cause to.
    """

    @property
    def questions(self) -> tuple[Ambiguity, ...]: ...

    @property
    def warnings(self) -> Sequence[str]:
        """Complete when all rows have been seen."""
        ...

    def __iter__(self) -> Iterator[FileRow]: ...


class Format(Protocol):
    """A kind of file. One instance serves all files and all threads: it keeps nothing between calls."""

    key: ClassVar[str]
    label: ClassVar[str]
    broker: ClassVar[Broker]
    institution: ClassVar[str]  # whose file it is, in words: "Fidelity"

    def detect(self, source: Source) -> Match | None:
        """Whether the beginning of the file looks like this format. Cheap: it sees every file."""
        ...

    def parse(self, source: Source, choices: Choices = AS_PRINTED) -> ParsedFile:
        """Read all rows. A row that cannot be read is parked with the reason and never stops the others.

        Raises FileNotRead or reader.FileUnreadable.
        """
        ...

    def open(self, source: Source, choices: Choices = AS_PRINTED) -> Passage:
        """As `parse`, but a table keeps no row that has been seen. Raises the same, here or on the way."""
        return self.parse(source, choices)


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
