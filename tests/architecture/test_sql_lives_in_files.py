import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import files, name, tree

# A statement's first word in capitals, or a whole clause in small letters that is not prose.
SQL = re.compile(
    r"""
    ^\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TRUNCATE|CREATE|ALTER|DROP|GRANT|REVOKE
        |COPY|LISTEN|NOTIFY|LOCK|SET|SHOW|BEGIN|COMMIT|ROLLBACK|VACUUM|ANALYZE|EXPLAIN)\s+[\w"(*{$]
    | ^\s*select\s[^.]+\sfrom\s+(?!(?:the|a|an|your|this|all)\b)[\w"{$]
    | \b(?:insert\s+into|delete\s+from)\s+(?!(?:the|a|an|your|this|all)\b)[\w"{$]
    | \bupdate\s+[\w".{}$]+\s+set\s+[\w"{$]
    """,
    re.VERBOSE | re.DOTALL,
)


def docstrings(module: ast.Module) -> set[ast.AST]:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.body[0].value
        for node in ast.walk(module)
        if isinstance(node, owners)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }


def written(node: ast.AST) -> str | None:
    """The text of a literal; what an f-string fills in reads as `{}`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(getattr(part, "value", "{}")) for part in filled(node))
    return None


def filled(node: ast.JoinedStr) -> Iterator[ast.Constant]:
    for part in node.values:
        yield part if isinstance(part, ast.Constant) else ast.Constant("{}")


def sql_in(module: ast.Module) -> list[int]:
    prose = docstrings(module)
    return [
        node.lineno
        for node in ast.walk(module)
        if node not in prose and (text := written(node)) is not None and SQL.search(text)
    ]


def test_the_five_packages_hold_no_sql():
    found = [f"{name(file)}:{line}" for file in files() for line in sql_in(tree(file))]
    assert found == [], "SQL belongs in data/sql/queries/<table>.sql as a named block"


@pytest.mark.parametrize(
    "planted",
    [
        'await tx.fetch("SELECT id FROM bookings WHERE id = $1", id)',
        'await tx.fetch("""\n  select id\n  from bookings""")',
        'await tx.execute(f"UPDATE {table} SET state = $1", state)',
        'await tx.execute(f"select {columns} from {table}")',
        'await tx.execute("insert into events values ($1)")',
        'query = "DELETE FROM " + table',
        'await tx.execute("CREATE DATABASE tekkie")',
        'await tx.execute("WITH due AS (select 1) update timers set fired_at = $1")',
        'await tx.execute("SHOW server_version")',
    ],
)
def test_a_planted_statement_is_found(planted):
    module = f"async def flow(tx):\n    {planted}\n".replace("await ", "")
    assert sql_in(ast.parse(module)) != []


@pytest.mark.parametrize(
    "innocent",
    [
        '"Select a friend from the list."',
        '"Set TEKKIE_PORT to a free port."',
        '"Update the profile: set the radius."',
        'log.info("delete it from the desk")',
        'log.info("select a package from the list")',
        '"With the key, create a booking."',
    ],
)
def test_plain_words_are_not_taken_for_sql(innocent):
    assert sql_in(ast.parse(f"x = 1\n{innocent}\n")) == []


def test_a_docstring_may_speak_of_sql():
    assert sql_in(ast.parse('"""SELECT FOR UPDATE is what lock() does."""')) == []
