"""Looks for a person everywhere: in every column of every table, once they should be in none of them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.db import connection

PEOPLE = "'^(user|owner|author|actor|person|[a-z_]*by)(_id)?$'"
NUMBERS = f"""SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name ~ {PEOPLE} AND data_type IN ('integer', 'bigint')"""
NOTES = """SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type = 'jsonb'"""
IN_A_NOTE = """jsonb_path_exists("{}",
    '$.** ? (@.user == $id || @.user_id == $id || @.actor == $id || @.owner == $id)',
    jsonb_build_object('id', %(id)s::bigint))"""
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
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}" t WHERE t::text ILIKE ANY(%s))', [patterns])
            if cursor.fetchone()[0]:
                yield table


def _with_number(user_id: int) -> Iterator[str]:
    with connection.cursor() as cursor:
        for columns, condition in ((NUMBERS, '"{}" = %(id)s'), (NOTES, IN_A_NOTE)):
            cursor.execute(columns)
            for table, column in cursor.fetchall():
                wanted = condition.format(column)
                cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}" WHERE {wanted})', {"id": user_id})
                if cursor.fetchone()[0]:
                    yield table
