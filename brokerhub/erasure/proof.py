"""Looks for a person everywhere: in every column of every table, once they should be in none of them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg.sql import SQL, Composed, Identifier

PEOPLE = "'^(user|owner|author|actor|person|[a-z_]*by)(_id)?$'"
NUMBERS = f"""SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name ~ {PEOPLE} AND data_type IN ('integer', 'bigint')"""
NOTES = """SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type = 'jsonb'"""
A_ROW = SQL("SELECT EXISTS (SELECT FROM {table} AS row WHERE {wanted})")
WITH_WORDS = SQL("row::text ILIKE ANY(%(patterns)s)")
IN_A_COLUMN = SQL("{column} = %(id)s")
IN_A_NOTE = SQL("""jsonb_path_exists({column},
    '$.** ? (@.user == $id || @.user_id == $id || @.actor == $id || @.owner == $id)',
    jsonb_build_object('id', %(id)s::bigint))""")
LITERALLY = str.maketrans({sign: "\\" + sign for sign in "%_\\"})


@dataclass(frozen=True)
class Search:
    """How much was looked through, and the tables in which something of the person is left."""

    tables: int
    left_in: list[str]


def search(*, user_id: int, words: Collection[str]) -> Search:
    """Look for the person's number in columns and notes that name people, and for `words` in the text of every row.

    Reads all tables from end to end, so it is a worker's task.
    """
    with connection.cursor() as cursor:
        tables = sorted(connection.introspection.table_names(cursor))
    left = {*_with_words(tables, words), *_with_number(user_id)}
    return Search(len(tables), sorted(left))


def _with_words(tables: Collection[str], words: Collection[str]) -> Iterator[str]:
    patterns = ["%" + word.translate(LITERALLY) + "%" for word in words]
    for table in tables:
        if _is_there(A_ROW.format(table=Identifier(table), wanted=WITH_WORDS), {"patterns": patterns}):
            yield table


def _with_number(user_id: int) -> Iterator[str]:
    for columns, condition in ((NUMBERS, IN_A_COLUMN), (NOTES, IN_A_NOTE)):
        with connection.cursor() as cursor:
            cursor.execute(columns)
            found = cursor.fetchall()
        for table, column in found:
            wanted = condition.format(column=Identifier(column))
            if _is_there(A_ROW.format(table=Identifier(table), wanted=wanted), {"id": user_id}):
                yield table


def _is_there(statement: Composed, values: dict[str, Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return bool(cursor.fetchone()[0])
