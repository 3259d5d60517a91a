"""What the page about files says is what the code does."""

from pathlib import Path

from django.conf import settings

from sync.importers import FORMATS, reader

PAGE = Path(__file__).resolve().parents[2] / "docs" / "files.md"


def test_the_page_lists_every_format_by_its_name_and_no_other() -> None:
    lines = PAGE.read_text().replace("\\*", "*").partition("## Formats")[2].partition("\n## ")[0].splitlines()
    listed = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:]
    assert listed == [format.label for format in FORMATS.values()]


def test_the_page_tells_the_limits_as_they_are() -> None:
    limits = " ".join(PAGE.read_text().partition("## Limits")[2].split())
    assert f"{settings.UPLOAD_MAX_BYTES // 1024**2} MB" in limits
    assert f"{reader.MAX_ROWS:,} rows" in limits
    assert f"{reader.MAX_COLUMNS} columns" in limits
    assert f"{reader.MAX_CELL:,} characters" in limits
