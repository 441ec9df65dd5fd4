"""Which entry points of the code come to store a delivery: read from the source, so that a new one is found.

A function that names another, in a call or as a value, may call it. That is followed backwards from what inserts rows
of deliveries, through modules, classes and what annotations say, to addresses and tasks.
"""

import ast
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

import backend

ROOT = Path(backend.__file__).parent
_DELIVERY = "backend.db.models.notifications.Delivery"
_INSERTS = {"insert", "Insert"}
# What makes a function an entry point: its decorator.
_ENTRIES = {"post", "put", "delete", "patch", "get", "queue.task", "queue.periodic"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Module:
    """The functions, classes and values of one file, and what each of its names stands for."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name = name
        self.names: dict[str, str] = {}
        self.nodes: dict[str, ast.AST] = {}
        self.classes: set[str] = set()
        for one in tree.body:
            self._read(one)

    def _read(self, one: ast.stmt) -> None:
        match one:
            case ast.ImportFrom(module=str(module)):
                self.names |= {each.asname or each.name: f"{module}.{each.name}" for each in one.names}
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._has(one.name, one)
            case ast.ClassDef():
                self.classes.add(one.name)
                self.names[one.name] = f"{self.name}.{one.name}"
                for item in one.body:
                    if isinstance(item, _Function):
                        self.nodes[f"{one.name}.{item.name}"] = item
            case ast.Assign(targets=[ast.Name(id=str(name))]):
                self._has(name, one.value)

    def _has(self, name: str, node: ast.AST) -> None:
        self.nodes[name], self.names[name] = node, f"{self.name}.{name}"


class Code:
    """All of the backend's functions by their dotted names, and who may call each."""

    def __init__(self, root: Path = ROOT) -> None:
        parts = {path: path.relative_to(root.parent).with_suffix("").parts for path in sorted(root.rglob("*.py"))}
        found = [
            _Module(".".join(names).removesuffix(".__init__"), ast.parse(path.read_text(encoding="utf-8")))
            for path, names in parts.items()
        ]
        self._nodes = {
            f"{module.name}.{name}": (module, node) for module in found for name, node in module.nodes.items()
        }
        self._classes = {f"{module.name}.{name}" for module in found for name in module.classes}
        self._callers: dict[str, set[str]] = defaultdict(set)
        for name in self._nodes:
            for used in self._uses(name):
                self._callers[used].add(name)

    def entries(self) -> set[str]:
        """Name the handlers and tasks that come to store a delivery."""
        return {name for name in self._reaching(set(self._sinks())) if self._is_entry(name)}

    def _reaching(self, sinks: Collection[str]) -> set[str]:
        seen, left = set(sinks), list(sinks)
        while left:
            new = self._callers[left.pop()] - seen
            seen |= new
            left += new
        return seen

    def _is_entry(self, name: str) -> bool:
        decorators = getattr(self._nodes[name][1], "decorator_list", [])
        return any(ast.unparse(one).partition("(")[0] in _ENTRIES for one in decorators)

    def _sinks(self) -> Iterator[str]:
        """Yield what makes rows of deliveries: by the model, or by an insertion that names it or its table."""
        for name, (module, node) in self._nodes.items():
            for one in ast.walk(node):
                if isinstance(one, ast.Call) and self._stores(module, one):
                    yield name

    def _stores(self, module: _Module, call: ast.Call) -> bool:
        function = ast.unparse(call.func)
        if self._resolve(module, call.func, {}) == _DELIVERY:
            return True
        named = [ast.unparse(one) for one in call.args]
        return function.rpartition(".")[2] in _INSERTS and any(
            "Delivery" in one or "_deliveries" in one for one in named
        )

    def _uses(self, name: str) -> Iterator[str]:
        module, node = self._nodes[name]
        types = self._types(module, name, node)
        if "self" in types:
            yield f"{types['self']}.__init__"
        body = node.body if isinstance(node, _Function) else [node]
        for one in (each for statement in body for each in ast.walk(statement)):
            if isinstance(one, ast.Name | ast.Attribute) and isinstance(one.ctx, ast.Load):
                found = self._resolve(module, one, types)
                yield f"{found}.__init__" if found in self._classes else found or ""

    def _types(self, module: _Module, name: str, node: ast.AST) -> dict[str, str]:
        """Say of which class a function's own names are, as far as annotations and constructors tell."""
        owner = name.removeprefix(f"{module.name}.").rpartition(".")[0]
        types = {"self": f"{module.name}.{owner}"} if owner else {}
        given = [*node.args.args, *node.args.kwonlyargs] if isinstance(node, _Function) else []
        found = {one.arg: self._resolve(module, one.annotation, {}) for one in given if one.annotation is not None}
        for one in ast.walk(node):
            if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name) and isinstance(one.value, ast.Call):
                found[one.targets[0].id] = self._resolve(module, one.value, types)
        return types | {local: kind for local, kind in found.items() if kind in self._classes}

    def _resolve(self, module: _Module, node: ast.AST, types: dict[str, str]) -> str | None:
        """Return the dotted name that an expression stands for; of a call, the class of what it returns."""
        match node:
            case ast.Name():
                return types.get(node.id) or module.names.get(node.id)
            case ast.Attribute():
                base = self._resolve(module, node.value, types)
                return f"{base}.{node.attr}" if base else None
            case ast.Call():
                return self._returned(self._resolve(module, node.func, types))
        return None

    def _returned(self, made: str | None) -> str | None:
        if made in self._classes or made not in self._nodes:
            return made if made in self._classes else None
        home, function = self._nodes[made]
        returns = function.returns if isinstance(function, _Function) else None
        return self._resolve(home, returns, {}) if returns is not None else None
