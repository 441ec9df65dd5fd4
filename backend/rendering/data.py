"""The data that enters a template: JSON values only, copied, so that nothing else can be reached from there."""

import keyword

from backend.lib import clock
from backend.rendering.brand import OURS
from backend.rendering.faults import TemplateFault
from backend.rendering.limits import DEPTH
from backend.rendering.memory import parted
from backend.rendering.model import NOWHERE, Memory, Surroundings, Told

_SCALARS = frozenset({str, int, float, bool, type(None)})


def plain(value: object, depth: int = 0) -> object:
    """Copy a JSON value; raise TemplateFault for any other type and for nesting beyond the limit."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if depth >= DEPTH:
        raise TemplateFault(f"the fields nest more than {DEPTH} levels deep")
    if isinstance(value, dict):
        return {_name(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    raise TemplateFault(f"the fields hold a value of type {kind.__name__}, which JSON has not")


def _plain(memory: Memory | None) -> Memory:
    """Copy what was told before; it came from fields too."""
    if memory is None:
        return Memory(clock.iso(clock.now()))
    told = {}
    for known, one in memory.told.items():
        fields = plain(one.fields)
        assert isinstance(fields, dict)  # noqa: S101 - as above
        told[known] = Told(fields, one.first_seen, one.times_told)
    return Memory(memory.at, told)


def _name(key: object) -> str:
    if type(key) is not str:
        raise TemplateFault("the fields hold a member whose name is not a string")
    return key


def context(
    fields: object,
    *,
    batch: bool,
    around: Surroundings = NOWHERE,
    item_key: str | None = None,
    memory: Memory | None = None,
) -> dict[str, object]:
    """Build the template's variables: ``fields``, and for one notification its members under their own names.

    ``around`` stands behind them: a field of the same name wins.
    Where items are known by ``item_key``, the list of a batch tells which are new against ``memory``.

    Raises TemplateFault where the fields are not what the priority asks for: a list of mappings for a batch,
    else a mapping.
    """
    known = around.variables()
    if batch:
        if not isinstance(fields, (list, tuple)) or not all(isinstance(member, dict) for member in fields):
            raise TemplateFault("a batch is rendered with a list of mappings")
        copied = plain(fields)
        assert isinstance(copied, list)  # noqa: S101 - tells the type checker what plain() keeps
        items = copied if item_key is None else parted(copied, item_key, _plain(memory))
        return {**known, "fields": items, OURS: known["brand"]}
    if not isinstance(fields, dict):
        raise TemplateFault("a notification is rendered with a mapping of fields")
    copied = plain(fields)
    assert isinstance(copied, dict)  # noqa: S101 - tells the type checker what plain() keeps
    members = {name: value for name, value in copied.items() if name.isidentifier() and not keyword.iskeyword(name)}
    return {**known, **members, "fields": copied, OURS: known["brand"]}
