"""What the sample fields of a template lack, in words: a variable that they have not, or all where there are none."""

from collections.abc import Collection, Iterator, Mapping

from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from backend.rendering.compiler import parse_partial, parse_subject
from backend.rendering.data import context
from backend.rendering.faults import TemplateFault
from backend.rendering.fields_read import OURS, assigned, excused, fields_read
from backend.rendering.model import Source, TemplateWarning
from backend.rendering.policy import walk
from backend.rendering.sample_fields import Lack, lacks, written
from backend.rendering.suggestions import variable

_MOST_NAMED = 12


def unknown_fields(
    source: Source, tree: nodes.Template, passed_over: Collection[str], sample: object, *, batch: bool
) -> Iterator[TemplateWarning]:
    """Yield what the template, its subject and its partials read and the sample fields have not."""
    try:
        variables = context(sample, batch=batch)
    except TemplateFault:
        return  # the trial says so
    places = [("{}", tree)]
    if source.subject is not None:
        places.append(("Subject: {}", parse_subject(source.subject)))
    places += [(f"{{}} (Line {{}} of '{one.name}'.)", parse_partial(source, one)) for one in source.partials]
    # What one of them sets, an included one may read.
    given = set(passed_over).union(OURS, *(assigned(one) for _, one in places))
    free = set[str]().union(*(find_undeclared_variables(one) for _, one in places)) - given
    told = set[str]()
    for place, one in places:
        found = [lack for lack in lacks(one, variables, free) if lack.variable not in told]
        for lack in found:
            detail = place.format(_told(lack, variables, batch=batch), lack.line)
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
