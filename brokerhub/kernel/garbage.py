"""Python's search for cycles of objects nobody needs, kept out of work that makes many objects and no cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def search_paused() -> Iterator[None]:
    """Do not search while the block runs; what nobody refers to is freed at once, as always.

    Each search goes through all that the program holds, and many new objects call for it again and again: of a
    preview it took a third of the time. Another thread may let it go on earlier, which costs time and nothing else.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
