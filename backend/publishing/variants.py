"""Variants of a template in other languages: which it can have, and what is wrong with one of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from backend.lib.fair_pool import Share
from backend.lib.languages import name
from backend.lib.problems import FieldError, Problem
from backend.registry.templates import TEMPLATE, TemplateContent
from backend.rendering.faults import OF_TEMPLATE
from backend.rendering.fields_read import fields_read
from backend.rendering.model import Source, TemplateWarning
from backend.rendering.pool import PREVIEWS


def check(content: TemplateContent, language: str) -> None:
    """See that a text, which is in a language, can have its variants.

    Raises:
        Problem: ``invalid_template``.
    """
    if content.kind != TEMPLATE:
        detail = (
            f"A {content.kind} is in the language of what is made with it, and has no variants: let each variant of"
            " a template name its own."
        )
        raise _refused("/variants", detail)
    if language in content.variants:
        detail = (
            f"The template's own text is in {language} already: leave this variant out, or say in 'language' which"
            " language 'source' is in."
        )
        raise _refused(f"/variants/{language}", detail)


@contextmanager
def at(tag: str) -> Iterator[None]:
    """Let the faults of a text be those of the variant in a language."""
    try:
        yield
    except Problem as problem:
        if problem.code not in OF_TEMPLATE:
            raise
        errors = [
            FieldError(f"/variants/{tag}{one.pointer}", one.code, _said(tag, one.detail)) for one in problem.errors
        ]
        raise Problem(problem.code, _said(tag, problem.detail), errors=errors) from None


def warnings(
    content: TemplateContent, source: Source, others: Mapping[str, Source], share: Share
) -> list[TemplateWarning]:
    """Check a text, and every variant with its sample fields; return what the author should look at.

    Raises:
        Problem: ``invalid_template`` for one that cannot work; ``render_share_exceeded`` or ``unavailable`` if that
            cannot be seen just now.
    """
    found = _checked(source, content.sample_fields, share)
    spoken = content.spoken()
    for tag, one in others.items():
        with at(tag):
            checked = _checked(one, spoken[tag].sample_fields, share)
        found += [told(tag, warning) for warning in (*checked, *other_fields(source, one))]
    return found


def other_fields(source: Source, variant: Source) -> Iterator[TemplateWarning]:
    """Warn of fields that one of two texts shows and the other does not: one of them may have been forgotten."""
    own, other = (read.needed | read.optional for read in map(fields_read, (source, variant)))
    if missing := sorted(own - other):
        detail = f"It does not use {', '.join(missing)}, which the template's own text does."
        yield TemplateWarning(None, "variant_fields", detail)
    if more := sorted(other - own):
        detail = f"It uses {', '.join(more)}, which the template's own text does not."
        yield TemplateWarning(None, "variant_fields", detail)


def told(tag: str, warning: TemplateWarning) -> TemplateWarning:
    """Return a warning as one of the variant in a language."""
    return msgspec.structs.replace(warning, detail=_said(tag, warning.detail))


def _checked(source: Source, sample: Any, share: Share) -> list[TemplateWarning]:
    return PREVIEWS.check(source, sample, share, batch=isinstance(sample, list))


def _said(tag: str, detail: str) -> str:
    return f"In {name(tag)} ({tag}): {detail}"


def _refused(pointer: str, detail: str) -> Problem:
    return Problem("invalid_template", detail, errors=[FieldError(pointer, "invalid_template", detail)])
