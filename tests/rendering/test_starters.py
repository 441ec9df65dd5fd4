"""Every starter works with its own sample, without a single warning, and reads well as text."""

import re

import pytest

from backend.rendering.engine import check, render
from backend.rendering.model import RenderJob, Source
from backend.rendering.starters import Starter, starters

STARTERS = {starter.identifier: starter for starter in starters()}


@pytest.mark.parametrize("starter", STARTERS.values(), ids=STARTERS)
def test_works_without_a_warning(starter: Starter) -> None:
    source = Source(starter.format, starter.source, starter.subject)
    assert check(source, starter.sample_fields, batch=starter.batch) == []
    rendered = render(RenderJob(starter.identifier, source, starter.sample_fields, starter.batch))
    assert rendered.subject
    assert rendered.text
    assert (rendered.bare_html is None) == (starter.format == "text")
    assert (rendered.markdown is not None) == (starter.format == "markdown")
    assert "\n\n\n" not in rendered.text
    assert not re.search(r"[{<]%|\{\{|None", rendered.text)
    assert re.fullmatch(r"[A-Z][A-Z0-9_]{2,63}", starter.identifier)


def test_every_format_and_both_priorities_have_a_starter() -> None:
    assert {starter.format for starter in STARTERS.values()} == {"mjml", "html", "text", "markdown"}
    assert {starter.batch for starter in STARTERS.values()} == {True, False}


@pytest.mark.parametrize(("count", "compact"), [(1, False), (9, False), (10, True), (40, True)])
def test_a_batch_is_listed_below_ten_and_summed_up_from_ten(count: int, compact: bool) -> None:
    starter = STARTERS["ACCESSIONING_FAILURES"]
    fields = [
        {"sample_id": f"S-{number:02}", "attributes": [{"key": "Country", "value": f"v{number:02}"}]}
        for number in range(count)
    ]
    text = render(RenderJob("batch", Source(starter.format, starter.source), fields, batch=True)).text
    assert ("Values not accepted" in text) == compact
    assert ("v00" in text) == (not compact)
    assert f"{count} sample{'s' if count > 1 else ''} failed" in text
    assert ("and 20 more" in text) == (count == 40)


def test_the_text_of_a_starter() -> None:
    starter = STARTERS["ACCESSIONING_FAILURE"]
    text = render(RenderJob("one", Source(starter.format, starter.source), starter.sample_fields)).text
    assert "Sample WTX-004417 failed" in text
    assert "Country of origin  United Kingdm\n" in text
    assert "Open the manifest (https://lims.example/manifests/2841)" in text
