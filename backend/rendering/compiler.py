"""From the author's source to a compiled template, kept for the next message."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import css_inline
import msgspec
from jinja2 import Template, TemplateSyntaxError, nodes

from backend.rendering.clipping import fixed_bytes
from backend.rendering.faults import SOURCE, TemplateFault
from backend.rendering.faults import SUBJECT as SUBJECT_POINTER
from backend.rendering.html.inlining import css_inliner
from backend.rendering.html.pages import layout_of
from backend.rendering.jinja.environments import ENVIRONMENTS, HTML, MJML, SUBJECT
from backend.rendering.jinja.errors import runtime_fault, syntax_fault
from backend.rendering.jinja.masking import Mask, mask_jinja, unify_newlines
from backend.rendering.jinja.mistakes import mistake
from backend.rendering.jinja.needs import Need, needs_of
from backend.rendering.jinja.policy import enforce
from backend.rendering.jinja.sandbox import Sandbox
from backend.rendering.jinja.static_analysis import is_harmless, is_memberwise
from backend.rendering.jinja.tokens import spans
from backend.rendering.limits import JINJA_TOKENS, SOURCE_BYTES
from backend.rendering.mjml.assembly import assemble, starters_partials
from backend.rendering.mjml.compiler import CompiledMjml, compile_mjml
from backend.rendering.model import Location, Partial, Source, TemplateWarning
from backend.rendering.text.template import derived

_CACHED_TEMPLATES = 256


class Compiled(msgspec.Struct, frozen=True):
    """A template ready to run; ``source_line`` turns a line of it into the author's line.

    ``flow`` is the source of the template that writes the text alternative, where that can do without the HTML.
    ``harmless`` says that no fields can make running the body or the subject costly, ``memberwise`` that both render
    a batch whenever they render each of its members; ``fixed`` bytes are written in any case. ``layout`` surrounds the
    HTML of Markdown and text; ``layout_varies`` with the fields. ``needs`` is what the body looks up, if with that in
    the fields it renders for certain.
    """

    body: Template
    harmless: bool
    memberwise: bool
    fixed: int
    subject: Template | None = None
    flow: str | None = None
    source_line: Callable[[int], Location] | None = None
    inliner: css_inline.CSSInliner | None = None
    inline_marks: tuple[str, str] | None = None
    warnings: tuple[TemplateWarning, ...] = ()
    layout: Template | None = None
    layout_varies: bool = False
    needs: tuple[Need, ...] | None = None


class _Kept:
    """Compiled templates; beyond ``most``, those used longest ago make room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[tuple[str, Source], Compiled] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: tuple[str, Source]) -> Compiled | None:
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            return found

    def put(self, key: tuple[str, Source], made: Compiled) -> None:
        with self._lock:
            self._found[key] = made
            while len(self._found) > self._most:
                self._found.popitem(last=False)


_kept = _Kept(_CACHED_TEMPLATES)


def compiled(key: str, source: Source) -> Compiled:
    """Compile a template, or take it from the cache; the key alone is not trusted to tell two sources apart.

    Raises TemplateFault.
    """
    found = _kept.take((key, source))
    if found is None:
        found = _compiled(source)
        _kept.put((key, source), found)
    return found


def compiled_before(key: str, source: Source) -> Compiled | None:
    """Return a template if it is in the cache; to compile a long one may take half a second."""
    return _kept.take((key, source))


def _compiled(source: Source) -> Compiled:
    subjects = [parse_subject(source.subject)] if source.subject is not None else []
    partials = [parse_partial(source, one) for one in source.partials]
    # Compiling changes a tree, so it is looked at before.
    harmless = all(map(is_harmless, (*subjects, *partials)))
    memberwise = all(map(is_memberwise, subjects))
    subject = _template(SUBJECT, subjects[0], SUBJECT_POINTER) if subjects else None
    body = _compiled_mjml(source) if source.format == "mjml" else _compiled_body(source)
    return msgspec.structs.replace(
        body, subject=subject, harmless=body.harmless and harmless, memberwise=body.memberwise and memberwise
    )


def _compiled_body(source: Source) -> Compiled:
    made = _made(environment_of(source), parse(source))
    if source.format == "html":
        return msgspec.structs.replace(made, flow=_flow(unify_newlines(source.source)))
    if source.fragment:
        return made
    with _told_of(SOURCE):
        layout, varies = layout_of(source)
    if varies:
        made = msgspec.structs.replace(made, memberwise=False, needs=None)
    return msgspec.structs.replace(made, layout=layout, layout_varies=varies)


def _made(environment: Sandbox, tree: nodes.Template) -> Compiled:
    harmless, memberwise, fixed, needs = is_harmless(tree), is_memberwise(tree), fixed_bytes(tree), needs_of(tree)
    return Compiled(_template(environment, tree, SOURCE), harmless, memberwise, fixed, needs=needs)


def parse_partial(source: Source, one: Partial) -> nodes.Template:
    """Parse a partial or layout of a template; raises TemplateFault that names it, with its line."""
    try:
        return _read(ENVIRONMENTS[source.format], unify_newlines(one.source))
    except TemplateFault as fault:
        raise fault.within(one.name, fault.line or 1) from None


def environment_of(source: Source) -> Sandbox:
    """Return the environment of a template, in which the partials have their names.

    In MJML those that are written in HTML: the others were put in before.
    """
    wanted = "html" if source.format == "mjml" else source.format
    library = {one.name: unify_newlines(one.source) for one in source.partials if one.format == wanted}
    environment = ENVIRONMENTS[source.format]
    return environment.with_library(library) if library else environment


def _flow(html: str) -> str | None:
    mask = Mask(html)
    return derived(mask_jinja(HTML, html, mask), mask)


def _compiled_mjml(source: Source) -> Compiled:
    with _told_of(SOURCE):
        assembled = assemble(source)
    try:
        with _told_of(SOURCE):
            _bound(MJML, assembled.text, SOURCE)
            product = compile_mjml(assembled.text, source.language)
            made = _made_of_mjml(environment_of(source), product, assembled.text)
    except TemplateFault as fault:
        raise assembled.fault(fault) from None
    return msgspec.structs.replace(
        made,
        flow=product.flow,
        source_line=lambda line: assembled.location(product.lines.source_line(line)),
        inliner=css_inliner(product.inline) if product.inline else None,
        inline_marks=product.inline_marks,
        warnings=tuple(assembled.warning(one) for one in product.warnings),
    )


def _made_of_mjml(environment: Sandbox, product: CompiledMjml, written: str) -> Compiled:
    try:
        with _told_of(SOURCE):
            return _made(environment, environment.parse(product.html))
    except TemplateFault as fault:
        _read(MJML, written)  # tells more of a mistake in what the author wrote
        if fault.line is not None:
            fault.line = product.lines.source_line(fault.line)
        raise


def parse(source: Source) -> nodes.Template:
    """Parse the body as the author wrote it, so that every fault of syntax has the author's line."""
    known = _known(source)
    return _parse(environment_of(source), source.source, SOURCE, known)


def _known(source: Source) -> Collection[str]:
    """Return what a template may name; raises TemplateFault for a partial that is written in another format."""
    wanted = {source.format, "html"} if source.format == "mjml" else {source.format}
    known = {*ENVIRONMENTS[source.format].library, *(one.name for one in source.partials if one.format in wanted)}
    return known | set(starters_partials()) if source.format == "mjml" else known


def parse_subject(subject: str) -> nodes.Template:
    """Parse a subject; raises TemplateFault."""
    return _parse(SUBJECT, subject, SUBJECT_POINTER, ())


def _parse(environment: Sandbox, text: str, pointer: str, known: Collection[str]) -> nodes.Template:
    with _told_of(pointer):
        unified = unify_newlines(text)
        _bound(environment, unified, pointer)
        enforce(tree := _read(environment, unified), environment, known)
        return tree


def _read(environment: Sandbox, text: str) -> nodes.Template:
    try:
        return environment.parse(text)
    except TemplateSyntaxError as error:
        raise mistake(environment, text, error) from None


def _bound(environment: Sandbox, text: str, pointer: str) -> None:
    """Refuse what would take long to parse."""
    if len(text.encode("utf-8", "surrogatepass")) > SOURCE_BYTES:
        raise TemplateFault(f"the template is larger than {SOURCE_BYTES // 1024} KiB", None, pointer)
    try:
        found = spans(environment, text)
    except TemplateSyntaxError as error:
        raise mistake(environment, text, error) from None
    if len(found) > JINJA_TOKENS:
        line = found[JINJA_TOKENS].line
        raise TemplateFault(f"the template has more than {JINJA_TOKENS:,} Jinja tags", line, pointer)


def _template(environment: Sandbox, tree: nodes.Template, pointer: str) -> Template:
    with _told_of(pointer):
        return environment.from_string(tree)


@contextmanager
def _told_of(pointer: str) -> Iterator[None]:
    """Tell whatever goes wrong inside as a fault of the template."""
    try:
        yield
    except TemplateFault as fault:
        fault.pointer = pointer
        raise
    except TemplateSyntaxError as error:
        raise syntax_fault(error, pointer) from None
    except Exception as error:
        raise runtime_fault(error, pointer) from None
