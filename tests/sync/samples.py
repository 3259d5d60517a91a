"""Where the tests find files: our own fixtures, and the collection of real exports beside the repository."""

from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures" / "csv"
REAL_EXPORTS = Path(__file__).parents[2] / "../shared/data/csv"


def fixture(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def real_export(name: str) -> bytes:
    """A file that may not be shipped with the code. Skips the test, with that reason, where it is missing."""
    path = REAL_EXPORTS / name
    if not path.exists():
        pytest.skip(f"the collection of real exports (../shared/data/csv) is not here: {name}")
    return path.read_bytes()
