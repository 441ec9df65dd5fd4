"""What template versions are made with beside their own text."""

import msgspec

from backend.db.models.registry import TemplateVersion


class Pins(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is made with beside its own text.

    ``partials`` are the rows of the versions of partials and layouts, by their identifiers; ``language`` and
    ``mail_layout`` are as the service has them, or the text itself. ``variants`` are made with theirs, by language.
    """

    partials: dict[str, int] = {}
    language: str = "en"
    mail_layout: str | None = None
    variants: dict[str, "Pins"] = {}

    @property
    def named(self) -> frozenset[str]:
        """Return the identifiers of all partials and layouts, also of the variants."""
        return frozenset(self.partials).union(*(one.partials for one in self.variants.values()))


def pins_of(version: TemplateVersion) -> Pins:
    """Return what a version's row is made with, and its variants."""
    return Pins(
        partials=version.partials or {},
        language=version.language,
        mail_layout=version.mail_layout,
        variants={one.language: _alone(one) for one in version.variants},
    )


def _alone(version: TemplateVersion) -> Pins:
    return Pins(partials=version.partials or {}, language=version.language, mail_layout=version.mail_layout)
