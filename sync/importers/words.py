"""Words in any language and any spelling of their accents, so that a table can name each once."""

import contextlib
import unicodedata
from functools import lru_cache


@lru_cache(maxsize=1024)
def fold(text: str) -> str:
    """Small letters without accents, blanks collapsed; also of `CrÃ©dito`, which is UTF-8 read as Windows-1252."""
    with contextlib.suppress(UnicodeError):  # it was encoded once, as it should be
        text = text.encode("cp1252").decode()
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return " ".join(bare.casefold().split())
