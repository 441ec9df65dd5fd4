"""Which tests say soonest whether a change of a package did harm: ``python -m tests.neighbours delivery`` names them.

They are those of the package itself, of the three above that lean on it most, and of the nearest layer below that it
imports. A package leans on another with the share of its modules that import it, if they are three or more; where none
does, the nearest layer above that imports it takes the place of the three. The layers are those of ``pyproject.toml``;
all the other tests are for a run of everything.
"""

import ast
import sys
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FEWEST_MODULES, _MOST_ABOVE = 3, 3


def folders(package: str) -> list[str]:
    """Name the folders of tests, the package's own first.

    Raises:
        ValueError: there is no such package; the text says which there are.
    """
    layers = [[name.strip() for name in layer.split("|")] for layer in _contract()["layers"]]
    height = next((number for number, layer in enumerate(layers) if package in layer), None)
    if height is None:
        names = ", ".join(sorted(name for layer in layers for name in layer if _has_tests(name)))
        raise ValueError(f"There is no package {package}. There are: {names}.")
    # The first layer of the list is the highest.
    above = [[name for name in layer if package in _imported(name)] for layer in reversed(layers[:height])]
    below = [[name for name in layer if name in _imported(package)] for layer in layers[height + 1 :]]
    leaning = _leaning([name for layer in above for name in layer], package) or _nearest(above)
    return [f"tests/{name}" for name in (package, *leaning, *_nearest(below)) if _has_tests(name)]


def _contract() -> dict[str, list[str]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    found: dict[str, list[str]] = next(one for one in contracts if one["type"] == "layers")
    return found


def _nearest(layers: list[list[str]]) -> list[str]:
    return next((layer for layer in layers if any(_has_tests(name) for name in layer)), [])


def _leaning(names: list[str], package: str) -> list[str]:
    found = [name for name in names if _has_tests(name) and _imported(name)[package] >= _FEWEST_MODULES]
    return sorted(found, key=lambda name: _imported(name)[package] / len(_modules(name)), reverse=True)[:_MOST_ABOVE]


def _has_tests(package: str) -> bool:
    return any((ROOT / "tests" / package).glob("test_*.py"))


def _modules(package: str) -> list[Path]:
    """Return the modules of a package; a single module is one too."""
    folder = ROOT / "backend" / package
    return [path for path in folder.rglob("*.py") if path.stem != "__init__"] or [folder.with_suffix(".py")]


@cache
def _imported(package: str) -> Counter[str]:
    """Return the packages that a package imports, each with how many of its modules do."""
    found: Counter[str] = Counter()
    for path in _modules(package):
        imported: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "backend":
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported |= set(_package(node.module))
            elif isinstance(node, ast.Import):
                imported |= {name for alias in node.names for name in _package(alias.name)}
        found.update(imported - {package})
    return found


def _package(module: str) -> list[str]:
    first, _, rest = module.partition(".")
    return [rest.partition(".")[0]] if first == "backend" and rest else []


def main() -> int:
    """Print the folders of the named package."""
    try:
        print(*folders(sys.argv[1]))
    except ValueError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
