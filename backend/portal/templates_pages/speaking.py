"""The languages of a template in its editor: going from one text to another, one more, one less."""

from typing import Any

import msgspec

from backend.lib import languages
from backend.portal.access import Workspace
from backend.portal.forms import Faults
from backend.portal.templates_pages.texts import EditorForm
from backend.publishing.sources import MailSettings
from backend.registry.shapes import MAX_VARIANTS
from backend.registry.templates import TEMPLATE, TemplateContent, Variant
from backend.rendering.model import TemplateWarning
from backend.reports import template_preview

_TO = "speak-"


class Tab(msgspec.Struct, frozen=True):
    """One of a template's texts: its language, which is empty for its own, and what its author should look at."""

    variant: str
    tag: str
    name: str
    is_current: bool
    warnings: list[TemplateWarning]


def changed(form: EditorForm, text: TemplateContent, said: MailSettings, faults: Faults) -> TemplateContent:
    """Return a text with a variant more or less, if that is what the pressed button says."""
    if form.action == "remove_variant":
        kept = {tag: one for tag, one in text.variants.items() if tag != form.variant}
        return msgspec.structs.replace(text, variants=kept)
    if form.action != "add_variant":
        return text
    try:
        tag = languages.language_tag(form.new_variant)
    except ValueError as error:
        faults.add("new_variant", str(error) if form.new_variant.strip() else "Choose a language.")
        return text
    if tag in text.variants or tag == (text.language or said.language):
        faults.add("new_variant", f"The template has a text in {languages.name(tag)} already.")
        return text
    if len(text.variants) >= MAX_VARIANTS:
        faults.add("new_variant", f"A template has at most {MAX_VARIANTS} variants.")
        return text
    own = Variant(source=form.source, subject=form.subject.strip() or None)
    # From then on its own text is in the language that it was in, whatever the service speaks one day.
    language = text.language or said.language
    return msgspec.structs.replace(text, language=language, variants=text.variants | {tag: own})


def goes_to(form: EditorForm) -> str:
    """Return the variant that the editor shows after a save."""
    if form.action.startswith(_TO):
        return form.action.removeprefix(_TO)
    if form.action == "add_variant":
        return languages.language_tag(form.new_variant)
    return "" if form.action == "remove_variant" else form.variant


def described(workspace: Workspace, form: EditorForm, text: TemplateContent, said: MailSettings) -> dict[str, Any]:
    """Describe the languages of a text for the editor's page."""
    own = text.language or said.language
    warned = template_preview.other_fields(text, workspace.service_id) if text.variants else {}
    tags = [("", own), *((tag, tag) for tag in sorted(text.variants))]
    tabs = [
        Tab(variant, tag, languages.name(tag), variant == form.variant, warned.get(variant, []))
        for variant, tag in tags
    ]
    there = {own, *text.variants}
    return {
        "tabs": tabs if text.kind == TEMPLATE or text.variants else [],
        "addable": [pair for pair in languages.languages() if pair[0] not in there],
        "speakable": [("", f"As the service: {languages.name(said.language)}"), *languages.languages()],
    }
