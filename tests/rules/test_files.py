"""Files: short, named for what they are, with their imports at the top, and without waiting in tests."""

import ast

from tests.rules import source

MAX_LINES = 400
# Each waits for what nothing tells the end of; the reason stands beside it.
MAY_SLEEP = {
    "tests/accounts/test_rate_limits.py": "lets the loop's own timer pass that gives permits back",
    "tests/accounts/test_users.py": "stands in for a hash that takes long",
    "tests/api/test_health.py": "stands in for a database that is slow",
    "tests/channels/test_smtp_wire.py": "stands in for a server that sends an octet now and then",
    "tests/lib/test_logs.py": "lets the loop turn once",
}


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {source.name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in source.files()}
    long = {name: length for name, length in lengths.items() if length > MAX_LINES and "/versions/" not in name}
    assert len(lengths) > 100
    assert long == {}


def test_nothing_is_named_for_nothing() -> None:
    vague = {"util", "utils", "helper", "helpers", "misc", "common", "stuff"}
    named = [source.name(path) for path in source.files() if vague & {path.stem, *path.parent.parts}]
    assert named == []


def test_imports_stand_at_the_top_of_a_file() -> None:
    inner = []
    for path in source.files("backend", kinds={".py"}):
        functions = (
            node for node in ast.walk(source.tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        inner += [
            f"{source.name(path)}:{node.lineno}"
            for function in functions
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
    assert inner == []


def test_tests_move_time_instead_of_sleeping() -> None:
    sleeping = set()
    for path in source.files("tests", "e2e", kinds={".py"}):
        if path.name.startswith("test_") and any(called == "sleep" for called, _ in source.calls(path)):
            sleeping.add(source.name(path))
    assert sleeping <= MAY_SLEEP.keys(), "wait for an event instead, or move tests.conftest.MovableClock"


def test_every_test_module_and_package_says_what_it_is_about() -> None:
    silent = [
        source.name(p) for p in source.files("backend", "tests", kinds={".py"}) if not ast.get_docstring(source.tree(p))
    ]
    assert silent == []
