"""Files: short, named for what they are, with their imports at the top, and without waiting in tests."""

import ast

from tests.rules import source

MAX_LINES = 400
# Each waits for what nothing tells the end of; the reason stands beside it.
MAY_SLEEP = {
    "tests/accounts/test_rate_limits.py": "lets the loop's own timer pass that gives permits back",
    "tests/accounts/test_users.py": "stands in for a hash that takes long",
    "tests/benchmarks/device_rows.py": "looks whether everything is sent, and is a provider that takes its time",
    "tests/benchmarks/fairness.py": "sends at a pace",
    "tests/benchmarks/files_passed.py": "looks at what other processes have done",
    "tests/benchmarks/latency.py": "sends at a pace",
    "tests/benchmarks/load.py": "sends at a pace",
    "tests/benchmarks/processes.py": "looks whether a process answers",
    "tests/benchmarks/search.py": "sends at a pace",
    "tests/channels/group_server.py": "stands in for a server that is slow",
    "tests/channels/test_smtp_wire.py": "stands in for a server that sends an octet now and then",
    "tests/imap_server.py": "looks whether a process answers",
    "tests/mail_servers/jail.py": "looks whether a process answers",
    "tests/storms/installation.py": "looks at what other processes have done",
}
_SLEEPS = {"sleep", "wait_for_timeout"}


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


def test_the_database_is_imported_in_one_way() -> None:
    """By ``database as db``; ``session`` is what a transaction gives. ``Database`` itself is named in signatures."""
    other = []
    for path in source.files("backend", "tests", "e2e", kinds={".py"}):
        for node in ast.walk(source.tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module == "backend.db":
                other += [source.name(path) for one in node.names if one.name == "database" and one.asname != "db"]
            if isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
                other += [source.name(path)] if node.optional_vars.id == "db" else []
    assert other == []


def test_tests_move_time_instead_of_sleeping() -> None:
    sleeping = set()
    for path in source.files("tests", "e2e", kinds={".py"}):
        if any(called in _SLEEPS and not turns_once(call) for called, call in source.calls(path)):
            sleeping.add(source.name(path))
    assert sleeping == MAY_SLEEP.keys(), "wait for an event instead, or move tests.conftest.MovableClock"


def turns_once(call: ast.Call) -> bool:
    """Tell whether a call lets the loop turn once, and no time pass."""
    return [argument.value for argument in call.args if isinstance(argument, ast.Constant)] == [0]


def test_every_test_module_and_package_says_what_it_is_about() -> None:
    silent = [
        source.name(p) for p in source.files("backend", "tests", kinds={".py"}) if not ast.get_docstring(source.tree(p))
    ]
    assert silent == []
