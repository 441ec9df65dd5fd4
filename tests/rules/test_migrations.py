"""Migrations expand first and contract a release later, so that two releases can work side by side."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.db import migrate
from tests.rules import source

VERSIONS = source.ROOT / "backend" / "db" / "migrations" / "versions"
# The rule is younger than these.
BEFORE = "0018"
# What takes something away that code may still use, or that it does not know it has to give.
DESTRUCTIVE = {"drop_column", "drop_table", "drop_constraint", "rename_table"}
WORDS = re.compile(r"\b(drop\s+(table|column|constraint)|rename\s+(to|column)|set\s+not\s+null)\b", re.IGNORECASE)
ADVICE = (
    "code of the release before works on this database meanwhile: add first, and take away in the release after the "
    "one that does without it, with CODE = the number of the newest migration of that release"
)


def number(path: Path) -> str:
    return path.name.partition("_")[0]


def of_upgrade(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield everything but what is in ``downgrade``, and the words about the migration."""
    for part in tree.body:
        spoken = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
        if not spoken and not (isinstance(part, ast.FunctionDef) and part.name == "downgrade"):
            yield from ast.walk(part)


def given(call: ast.Call, name: str) -> object:
    """Return the constant that an argument is given as; None where it is not."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value.value if isinstance(keyword.value, ast.Constant) else ...
    return None


def takes(call: ast.Call) -> bool:
    """Tell whether a call takes something away."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name == "alter_column":
        return given(call, "new_column_name") is not None or given(call, "nullable") is False
    if name == "add_column":
        columns = [part for part in call.args if isinstance(part, ast.Call)]
        return any(given(one, "nullable") is False and given(one, "server_default") is None for one in columns)
    return name in DESTRUCTIVE


def destructive(tree: ast.Module) -> list[str]:
    """List the lines that take something away, with what they say."""
    found = []
    for node in of_upgrade(tree):
        if isinstance(node, ast.Call) and takes(node):
            found.append(f"line {node.lineno}")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and WORDS.search(node.value):
            found.append(f"line {node.lineno}")
    return found


def code_of(tree: ast.Module) -> object:
    """Return what a migration says of the oldest code that goes with it."""
    for part in tree.body:
        if isinstance(part, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "CODE" for one in part.targets):
            return part.value.value if isinstance(part.value, ast.Constant) else ...
    return None


def faults(tree: ast.Module, own: str, known: set[str]) -> list[str]:
    """Say what is wrong with a migration, if it takes something away."""
    taken, code = destructive(tree), code_of(tree)
    if code is None:
        return [f"{one}: {ADVICE}" for one in taken]
    if not isinstance(code, str) or code not in known or code >= own:
        return [f"CODE must be the number of an earlier migration, not {code!r}"]
    return [] if taken else ["CODE is for migrations that take something away"]


def test_migrations_only_add_or_say_which_code_does_without_what_they_take() -> None:
    paths = [path for path in sorted(VERSIONS.glob("0*.py")) if number(path) > BEFORE]
    known = {number(path) for path in VERSIONS.glob("0*.py")}
    assert paths
    wrong = {path.name: found for path in paths if (found := faults(source.tree(path), number(path), known))}
    assert wrong == {}


@pytest.mark.parametrize(
    "line",
    [
        'op.drop_column("deliveries", "segments")',
        'op.drop_table("jobs")',
        'op.rename_table("jobs", "uploads")',
        'op.add_column("jobs", sa.Column("size", sa.Integer(), nullable=False))',
        'op.alter_column("jobs", "size", new_column_name="length")',
        'op.alter_column("jobs", "size", nullable=False)',
        'batch.drop_constraint("uq_jobs_size")',
        'op.execute("ALTER TABLE jobs DROP COLUMN size")',
        'op.execute(sa.text("ALTER TABLE jobs RENAME TO uploads"))',
    ],
)
def test_what_takes_away_is_seen(line: str) -> None:
    tree = ast.parse(f"def upgrade():\n    {line}\n")
    (fault,) = set(faults(tree, "0030", {"0001", "0029"}))
    assert "add first" in fault
    marked = ast.parse(f'CODE = "0029"\ndef upgrade():\n    {line}\n')
    assert faults(marked, "0030", {"0001", "0029"}) == []
    assert faults(marked, "0029", {"0001", "0029"}) != []
    assert faults(marked, "0030", {"0001"}) != []


@pytest.mark.parametrize(
    "line",
    [
        'op.add_column("jobs", sa.Column("size", sa.Integer(), nullable=True))',
        'op.add_column("jobs", sa.Column("size", sa.Integer(), nullable=False, server_default="0"))',
        'op.create_table("more", sa.Column("id", sa.Integer(), nullable=False))',
        'op.alter_column("jobs", "size", nullable=True)',
        'op.drop_index("ix_jobs_size", table_name="jobs")',
        'op.execute("INSERT INTO more (id) VALUES (1)")',
    ],
)
def test_what_adds_is_free(line: str) -> None:
    tree = ast.parse(f"def upgrade():\n    {line}\n\n\ndef downgrade():\n    op.drop_table('more')\n")
    assert faults(tree, "0030", {"0001"}) == []
    assert faults(ast.parse(f"CODE = '0001'\ndef upgrade():\n    {line}\n"), "0030", {"0001"}) != []


def test_what_migrations_say_is_what_the_program_reads() -> None:
    said = {number(path): code_of(source.tree(path)) for path in VERSIONS.glob("0*.py")}
    assert said == migrate._steps()
