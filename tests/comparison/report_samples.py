"""Reports to import: our own small ones, changed as a test needs it, and the collection beside the repository."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

FIXTURES = Path(__file__).parents[1] / "fixtures" / "comparison"
COLLECTION = Path(__file__).parents[2] / "../shared/data/comparison/execution-quality/samples"


def collected(name: str) -> Path:
    """A file that may not be shipped with the code. Skips the test, with that reason, where it is missing."""
    path = COLLECTION / name
    if not path.exists():
        pytest.skip(f"the collection of published reports (../shared/data/comparison) is not here: {name}")
    return path


def changed(folder: Path, name: str, *replacements: tuple[str, str]) -> Path:
    """Our own file of this name with each text replaced once, as a new file in `folder`."""
    text = (FIXTURES / name).read_text()
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / name
    path.write_text(text)
    return path


def run(command: str, path: Path | None, **options: Any) -> str:
    """What the command says to the operator. Raises CommandError when it refuses."""
    said = StringIO()
    call_command(command, *([path] if path else []), stdout=said, **options)
    return said.getvalue()


def refusal(command: str, path: Path, **options: Any) -> str:
    with pytest.raises(CommandError) as refused:
        run(command, path, **options)
    return str(refused.value)
