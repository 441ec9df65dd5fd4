"""Which variables of a template the sample fields have: those that they lack show only when a real message comes.

Members of members are followed, into the items of loops too, as far as that can be told without running anything. What
is lacking is told in words: a variable, or all that are needed where there are no sample fields.
"""

from collections.abc import Collection, Iterator, Mapping

import msgspec
from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from backend.rendering.compiler import parse_partial, parse_subject
from backend.rendering.faults import TemplateFault
from backend.rendering.fields_read import OURS, fields_read
from backend.rendering.jinja.suggestions import variable
from backend.rendering.jinja.trees import assigned, excused, walk, written
from backend.rendering.limits import context
from backend.rendering.memory import Item, Items
from backend.rendering.model import Source, TemplateWarning

# What an expression may be in the samples, of all that was found; None where that cannot be told.
Values = list[object] | None
_SAME = frozenset({"d", "default", "list", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"})
_ONE = frozenset({"first", "last", "random"})
_ASKING = frozenset({"defined", "undefined"})
_REPLACING = frozenset({"d", "default"})
_PAIRS = frozenset({"items", "values"})
_MOST_NAMED = 12
# What batches with memory have beside their members.
_OF_ITEMS = frozenset({"new", "resolved", "still"})
_OF_A_BATCH = frozenset(f"fields.{name}" for name in _OF_ITEMS)
_OF_AN_ITEM = frozenset({"first_seen", "times_told"})


class Lack(msgspec.Struct, frozen=True):
    """What no sample has: the variable as it is written, or a list, of which the samples have no ``items``."""

    line: int
    variable: str
    items: bool = False


def lacks(tree: nodes.Template, variables: Mapping[str, object], free: Collection[str]) -> list[Lack]:
    """List what is read of ``variables``, which are those of the samples, and is not there.

    ``free`` are the names that the template takes from them; what it sets itself is not followed.
    """
    reader = _Reader(free, _set(tree))
    reader.statements([tree], {name: [value] for name, value in variables.items()})
    return list(dict.fromkeys(reader.found))


def _set(tree: nodes.Template) -> set[str]:
    """Return the names that are set or given to macros somewhere, but for the items of loops."""
    of_loops = {
        id(one) for loop in tree.find_all(nodes.For) for one in (loop.target, *loop.target.find_all(nodes.Name))
    }
    stored = (one for one in tree.find_all(nodes.Name) if one.ctx in {"param", "store"} and id(one) not in of_loops)
    return {one.name for one in stored}


class _Reader:
    def __init__(self, free: Collection[str], elsewhere: Collection[str]) -> None:
        self._free = free
        self._elsewhere = elsewhere
        self.found: list[Lack] = []

    def statements(self, some: Collection[nodes.Node], names: Mapping[str, Values]) -> None:
        """Read statements, and all else whose value does not matter."""
        for node in some:
            if isinstance(node, nodes.For):
                self._loop(node, names)
            elif isinstance(node, nodes.Expr):
                self.value(node, names)
            else:
                self.statements(list(node.iter_child_nodes()), names)

    def _loop(self, node: nodes.For, names: Mapping[str, Values]) -> None:
        values = self.value(node.iter, names)
        items = _items(values)
        if values and items == [] and isinstance(node.iter, (nodes.Name, nodes.Getattr, nodes.Getitem)):
            self.found.append(Lack(node.lineno, written(node.iter), items=True))
        inner = dict(names)
        if isinstance(node.target, nodes.Name):
            inner[node.target.name] = items
        else:  # of pairs only the value can be told, behind .items()
            targets = [one.name for one in node.target.find_all(nodes.Name)]
            inner |= dict.fromkeys(targets)
            if _is_call(node.iter, "items") and targets:
                inner[targets[-1]] = items
        self.statements([*node.body, *([node.test] if node.test else [])], inner)
        self.statements(node.else_, names)

    def value(self, node: nodes.Node, names: Mapping[str, Values], *, told: bool = True) -> Values:
        """Return what an expression may be, and note what is lacking unless that is asked for."""
        found: Values = None
        match node:
            case nodes.Name(ctx="load"):
                found = self._variable(node, names, told=told)
            case nodes.Getattr(attr=str() as member) | nodes.Getitem(arg=nodes.Const(value=str() as member)):
                found = self._member(node, member, names, told=told)
            case nodes.Getitem(arg=nodes.Slice()):
                found = self.value(node.node, names, told=told)
            case nodes.Getitem(arg=nodes.Const(value=int())):
                found = _items(self.value(node.node, names, told=told))
            case nodes.Filter() if node.node is not None and node.name in _SAME | _ONE:
                found = self._filtered(node, names, told=told)
            case nodes.Test() if node.name in _ASKING:
                self.value(node.node, names, told=False)
            case nodes.Call(node=nodes.Getattr(node=owner, attr=method)):
                self.statements([*node.args, *node.kwargs], names)
                values = self.value(owner, names, told=told) or []
                found = [list(one.values()) for one in values if isinstance(one, dict)] if method in _PAIRS else None
            case _:
                self.statements(list(node.iter_child_nodes()), names)
        return found

    def _filtered(self, node: nodes.Filter, names: Mapping[str, Values], *, told: bool) -> Values:
        self.statements([*node.args, *node.kwargs], names)
        assert node.node is not None  # noqa: S101 - that of a filter block is no expression
        values = self.value(node.node, names, told=told and node.name not in _REPLACING)
        return _items(values) if node.name in _ONE else values

    def _variable(self, node: nodes.Name, names: Mapping[str, Values], *, told: bool) -> Values:
        if node.name in self._elsewhere:
            return None
        if node.name in names:
            return names[node.name]
        if told and node.name in self._free:
            self.found.append(Lack(node.lineno, node.name))
        return None

    def _member(
        self, node: nodes.Getattr | nodes.Getitem, member: str, names: Mapping[str, Values], *, told: bool
    ) -> Values:
        owners = self.value(node.node, names, told=told)
        if not owners:
            return None
        if member in _OF_ITEMS and all(isinstance(one, Items) for one in owners):
            return owners  # each of the three lists has items like those of the whole
        if member in _OF_AN_ITEM and all(isinstance(one, Item) for one in owners):
            return None
        mappings = [one for one in owners if isinstance(one, dict)]
        found = [one[member] for one in mappings if member in one]
        if told and not found and len(mappings) == len(owners):
            self.found.append(Lack(node.lineno, written(node)))
        return found or None


def _is_call(node: nodes.Node, method: str) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr == method


def _items(values: Values) -> Values:
    if values is None or not all(isinstance(one, list) for one in values):
        return None
    return [item for one in values if isinstance(one, list) for item in one]


def unknown_fields(
    source: Source, tree: nodes.Template, passed_over: Collection[str], sample: object, *, batch: bool
) -> Iterator[TemplateWarning]:
    """Yield what the template, its subject and its partials read and the sample fields have not."""
    try:
        variables = context(sample, batch=batch, around=source.around, item_key=source.item_key)
    except TemplateFault:
        return  # the trial says so
    locations = [("{}", tree)]
    if source.subject is not None:
        locations.append(("Subject: {}", parse_subject(source.subject)))
    locations += [(f"{{}} (Line {{}} of '{one.name}'.)", parse_partial(source, one)) for one in source.partials]
    # What one of them sets, an included one may read.
    given = set(passed_over).union(OURS, *(assigned(one) for _, one in locations))
    free = set[str]().union(*(find_undeclared_variables(one) for _, one in locations)) - given
    told = set[str]()
    for location, one in locations:
        found = [lack for lack in lacks(one, variables, free) if lack.variable not in told]
        for lack in found:
            detail = location.format(_told(lack, variables, batch=batch), lack.line)
            yield TemplateWarning(lack.line if one is tree else None, "unknown_field", detail)
        told.update(lack.variable for lack in found)


def _told(lack: Lack, variables: Mapping[str, object], *, batch: bool) -> str:
    if lack.items:
        return f"'{lack.variable}' is empty in the sample fields, so what is said of its items was not tried."
    if lack.variable.isidentifier():
        instead = variable(lack.variable, variables).removeprefix("; ")
        instead = f" {instead[:1].upper()}{instead[1:]}{'' if instead.endswith('?') else '.'}" if instead else ""
        if batch:
            return f"'{lack.variable}' is never set: a batch has only 'fields', the list of all notifications' fields."
        return f"The sample fields have no '{lack.variable}'.{instead}"
    if not batch and lack.variable in _OF_A_BATCH:
        return f"Only a batch has '{lack.variable}', and these are the fields of one notification: try it with a list."
    return f"The sample fields have no '{lack.variable}'."


def untried(source: Source, tree: nodes.Template, passed_over: Collection[str]) -> Iterator[TemplateWarning]:
    """Say what the fields of a message must have, of a template that comes without sample fields."""
    needed = sorted(fields_read(source).needed - set(passed_over)) + sorted(_of_members(tree))
    if needed:
        more = f" and {len(needed) - _MOST_NAMED} more" if len(needed) > _MOST_NAMED else ""
        detail = (
            f"There are no sample fields, so it was not tried whether this renders. Its messages need"
            f" {', '.join(needed[:_MOST_NAMED])}{more}. Give it sample fields that have them."
        )
        yield TemplateWarning(None, "no_sample", detail)


def _of_members(tree: nodes.Template) -> set[str]:
    """Return what is read of each member of a batch, as it is written."""
    pardoned = set(excused(tree))
    return {
        written(node)
        for loop in tree.find_all(nodes.For)
        if isinstance(loop.iter, nodes.Name) and loop.iter.name == "fields" and isinstance(loop.target, nodes.Name)
        for part in loop.body
        for node in walk(part)
        if isinstance(node, (nodes.Getattr, nodes.Getitem)) and id(node) not in pardoned
        if isinstance(node.node, nodes.Name) and node.node.name == loop.target.name
    }
