"""The project's own files, as its rules look at them."""

import ast
import gc
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("backend", "tests", "e2e", "portal_templates", "notification_templates", "static")
KINDS = {".py", ".js", ".css", ".html", ".mjml", ".jinja", ".txt", ".md"}


def files(*folders: str, kinds: set[str] = KINDS) -> list[Path]:
    """List the project's own files, without what package managers bring and what generators write."""
    found = [path for folder in folders or FOLDERS for path in sorted((ROOT / folder).rglob("*"))]
    return [path for path in found if path.suffix in kinds and "node_modules" not in path.parts]


def name(path: Path) -> str:
    """Name a file from the top of the project."""
    return path.relative_to(ROOT).as_posix()


@lru_cache(maxsize=4096)  # more than there are, since each rule goes through all of them in the same order
def tree(path: Path) -> ast.Module:
    """Parse a Python file; there is no garbage in what is kept, to look for which takes as long again."""
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        gc.enable()


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call of a file with the last part of the called name."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            called = node.func
            yield called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", ""), node
