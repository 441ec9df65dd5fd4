"""Which variant of a template its readers get, and how languages go together."""

from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from backend.db.models.registry import TemplateVersion
from backend.registry.lookup import FoundTemplate

_published = aliased(TemplateVersion)
# The number under which a version is known: a variant has that of the version which it is of.
NUMBER = func.coalesce(
    select(_published.number).where(_published.id == TemplateVersion.variant_of).scalar_subquery(),
    TemplateVersion.number,
)


class Choice(msgspec.Struct, frozen=True):
    """The text that somebody gets; ``missing`` is the language that was asked for and that the template lacks."""

    template: FoundTemplate
    missing: str | None = None

    def sentence(self, who: str) -> str:
        """Say that another language than the one asked for was taken; ``who`` is the recipient."""
        one = self.template
        return f"{one.identifier} has no variant in {self.missing} for {who}: the one in {one.language} goes instead."


def choose(template: FoundTemplate, wished: Iterable[str | None], default: str) -> Choice:
    """Choose a template's variant by what is wished for, the first before the others, else by the service's language.

    A wish is met by its own language, by one that it is a kind of (``de`` for ``de-CH``), or by another kind of the
    same (``de-CH`` for ``de``). Without any wish the ``default`` is no wish either: it is missed without a word.
    """
    wishes = [one for one in wished if one is not None]
    if not wishes and not template.variants:
        return Choice(template)
    for tag in (*wishes, default):
        found = _spoken(template, tag)
        if found is not None:
            met = not wishes or tag == wishes[0]
            return Choice(found, None if met else wishes[0])
    return Choice(template, wishes[0] if wishes else None)


def in_language(template: FoundTemplate, tag: str) -> FoundTemplate:
    """Return the variant in a language, or the template itself."""
    return _spoken(template, tag) or template


def _spoken(template: FoundTemplate, tag: str) -> FoundTemplate | None:
    there = {one.language: one for one in (template, *template.variants)}
    for wider in _wider(tag):
        if wider in there:
            return there[wider]
    return next((one for known, one in there.items() if _alike(known, tag)), None)


def _wider(tag: str) -> Iterator[str]:
    """Yield a tag and those that it is a kind of (RFC 4647, section 3.4)."""
    parts = tag.split("-")
    for length in range(len(parts), 0, -1):
        yield "-".join(parts[:length])


def _alike(one: str, other: str) -> bool:
    """Tell whether who reads the one language reads the other: not where they are written in different scripts."""
    return one.split("-", 1)[0] == other.split("-", 1)[0] and _script(one) == _script(other)


def _script(tag: str) -> str:
    return next((part for part in tag.split("-")[1:] if len(part) == 4), "")
