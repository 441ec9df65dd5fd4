"""From the author's source to a compiled template, kept for the next message."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import css_inline
import msgspec
from jinja2 import Template, TemplateSyntaxError, nodes

from backend.rendering.clipping import fixed_bytes
from backend.rendering.environments import ENVIRONMENTS, HTML, MJML, SUBJECT
from backend.rendering.faults import SOURCE, TemplateFault, runtime_fault, syntax_fault
from backend.rendering.faults import SUBJECT as SUBJECT_POINTER
from backend.rendering.harmless import is_harmless
from backend.rendering.inlining import css_inliner
from backend.rendering.jinja_mistakes import mistake
from backend.rendering.jinja_tokens import spans
from backend.rendering.layouts import layout_of
from backend.rendering.limits import JINJA_TOKENS, SOURCE_BYTES
from backend.rendering.masking import Mask, mask_jinja, unify_newlines
from backend.rendering.memberwise import is_memberwise
from backend.rendering.mjml_assembly import assemble, starters_partials
from backend.rendering.mjml_compiler import CompiledMjml, compile_mjml
from backend.rendering.model import Partial, Place, Source, TemplateWarning
from backend.rendering.needs import Need, needs_of
from backend.rendering.policy import enforce
from backend.rendering.sandbox import Sandbox
from backend.rendering.text_template import derived

_CACHED_TEMPLATES = 256
_T = TypeVar("_T")


class Compiled(msgspec.Struct, frozen=True):
    """A template ready to run; ``source_line`` turns a line of it into the author's line.

    ``flow`` is the source of the template that writes the text alternative, where that can do without the HTML.
    ``harmless`` says that no fields can make running the body or the subject costly, ``memberwise`` that both render
    a batch whenever they render each of its members. ``needs`` is what the body looks up, if with that in the fields
    it renders for certain. ``layout`` surrounds the HTML of Markdown and text; ``layout_varies`` with the fields.
    """

    body: Template
    subject: Template | None
    harmless: bool
    memberwise: bool
    needs: tuple[Need, ...] | None
    fixed: int
    flow: str | None = None
    source_line: Callable[[int], Place] | None = None
    inliner: css_inline.CSSInliner | None = None
    inline_marks: tuple[str, str] | None = None
    warnings: tuple[TemplateWarning, ...] = ()
    layout: Template | None = None
    layout_varies: bool = False


class _Kept:
    """Compiled templates; beyond ``most``, those used longest ago make room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[tuple[str, Source], Compiled] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, place: tuple[str, Source]) -> Compiled | None:
        with self._lock:
            found = self._found.get(place)
            if found is not None:
                self._found.move_to_end(place)
            return found

    def put(self, place: tuple[str, Source], made: Compiled) -> None:
        with self._lock:
            self._found[place] = made
            while len(self._found) > self._most:
                self._found.popitem(last=False)


_kept = _Kept(_CACHED_TEMPLATES)


class _Known(msgspec.Struct, frozen=True):
    """What is told of a template before it is compiled."""

    harmless: bool = True
    memberwise: bool = True
    needs: tuple[Need, ...] | None = None
    fixed: int = 0

    def beside(self, subject: "_Known") -> dict[str, Any]:
        """Return what is known of a body together with its subject."""
        return {
            "harmless": self.harmless and subject.harmless,
            "memberwise": self.memberwise and subject.memberwise,
            "needs": self.needs,
            "fixed": self.fixed,
        }


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
    subject, told = _subject(source.subject) if source.subject is not None else (None, _Known())
    environment = environment_of(source)
    partials = [parse_partial(source, one) for one in source.partials]
    if not all(map(is_harmless, partials)):
        told = msgspec.structs.replace(told, harmless=False)
    if source.format == "mjml":
        return _compiled_mjml(source, environment, subject, told)
    body, known = _template(environment, parse(source), SOURCE)
    if source.format == "html":
        flow = _flow(unify_newlines(source.source))
        return Compiled(body=body, subject=subject, flow=flow, **known.beside(told))
    if source.fragment:
        return Compiled(body=body, subject=subject, **known.beside(told))
    layout, varies = _guarded(lambda: layout_of(source), SOURCE)
    if varies:
        known = msgspec.structs.replace(known, memberwise=False, needs=None)
    return Compiled(body=body, subject=subject, layout=layout, layout_varies=varies, **known.beside(told))


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


def _compiled_mjml(source: Source, environment: Sandbox, subject: Template | None, told: _Known) -> Compiled:
    assembled = _guarded(lambda: assemble(source), SOURCE)

    def steps() -> tuple[CompiledMjml, tuple[Template, _Known]]:
        _bound(MJML, assembled.text, SOURCE)
        product = compile_mjml(assembled.text, source.language)
        try:
            return product, _template(environment, product.html, SOURCE, product)
        except TemplateFault:
            _read(MJML, assembled.text)  # tells more of a mistake in what the author wrote
            raise

    try:
        product, (body, known) = _guarded(steps, SOURCE)
    except TemplateFault as fault:
        raise assembled.fault(fault) from None
    return Compiled(
        body=body,
        subject=subject,
        flow=product.flow,
        source_line=lambda line: assembled.place(product.lines.source_line(line)),
        inliner=css_inliner(product.inline) if product.inline else None,
        inline_marks=product.inline_marks,
        warnings=tuple(assembled.warning(one) for one in product.warnings),
        **known.beside(told),
    )


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


def _subject(subject: str) -> tuple[Template, _Known]:
    return _template(SUBJECT, parse_subject(subject), SUBJECT_POINTER)


def _parse(environment: Sandbox, text: str, pointer: str, known: Collection[str]) -> nodes.Template:
    def attempt() -> nodes.Template:
        unified = unify_newlines(text)
        _bound(environment, unified, pointer)
        enforce(tree := _read(environment, unified), environment, known)
        return tree

    return _guarded(attempt, pointer)


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


def _template(
    environment: Sandbox, source: str | nodes.Template, pointer: str, product: CompiledMjml | None = None
) -> tuple[Template, _Known]:
    try:
        tree = environment.parse(source) if isinstance(source, str) else source
        known = _Known(
            is_harmless(tree), is_memberwise(tree), needs_of(tree), fixed_bytes(tree)
        )  # compiling changes the tree
        return environment.from_string(tree), known
    except (TemplateSyntaxError, TemplateFault) as error:
        fault = error if isinstance(error, TemplateFault) else syntax_fault(error, pointer)
        if product is not None and fault.line is not None:
            fault.line = product.lines.source_line(fault.line)
        fault.pointer = pointer
        raise fault from None
    except Exception as error:
        raise runtime_fault(error, pointer) from None


def _guarded(function: Callable[[], _T], pointer: str) -> _T:
    """Run a step of compilation; whatever goes wrong in it is a fault of the template."""
    try:
        return function()
    except TemplateFault as fault:
        fault.pointer = pointer
        raise
    except TemplateSyntaxError as error:
        raise syntax_fault(error, pointer) from None
    except Exception as error:
        raise runtime_fault(error, pointer) from None
