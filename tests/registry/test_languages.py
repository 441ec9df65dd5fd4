"""Which variant of a template goes to whom: the languages that meet a wish, and what is said of those that do not."""

import pytest

from backend.registry.languages import choose
from backend.registry.lookup import FoundTemplate


def template(*languages: str) -> FoundTemplate:
    """Make a template whose first language is its own."""
    own, *others = (
        FoundTemplate("X_T", number, 1, "text", "x", None, None, "template", language=tag)
        for number, tag in enumerate(languages, 1)
    )
    return FoundTemplate("X_T", 1, 1, "text", "x", None, None, "template", language=own.language, variants=(*others,))


@pytest.mark.parametrize(
    ("languages", "wished", "went", "missing"),
    [
        (("en", "de"), ["de"], "de", None),
        (("en", "de"), [None, "de"], "de", None),
        (("en", "de"), ["en", "de"], "en", None),
        (("en", "de"), [None, None], "en", None),
        (("de", "en"), [None, None], "en", None),
        (("de", "fr"), [None, None], "de", None),
        (("en", "de"), ["de-CH"], "de", None),
        (("en", "de-CH"), ["de"], "de-CH", None),
        (("en", "de", "de-CH"), ["de-CH"], "de-CH", None),
        (("en", "zh-Hans"), ["zh-Hant"], "en", "zh-Hant"),
        (("en", "de"), ["fr", "de"], "de", "fr"),
        (("en", "de"), ["fr"], "en", "fr"),
        (("de", "fr"), ["it"], "de", "it"),
        (("en",), ["de"], "en", "de"),
        (("en",), ["en-GB"], "en", None),
    ],
)
def test_a_wish_is_met_by_the_nearest_language_or_missed_with_a_word(
    languages: tuple[str, ...], wished: list[str | None], went: str, missing: str | None
) -> None:
    found = choose(template(*languages), wished, "en")
    assert (found.template.language, found.missing) == (went, missing)
