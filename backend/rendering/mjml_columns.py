"""Tells of columns whose width would depend on the fields: MJML shares the width out before these are known."""

import re
from collections.abc import Iterator

from lxml import etree

from backend.rendering.masking import Mask
from backend.rendering.mjml.elements import BETWEEN
from backend.rendering.model import TemplateWarning

_DECIDES = re.compile(r"\{%[-+]?\s*(?:if|for)\b")
_DETAIL = (
    "How many columns there are depends on the fields, but MJML shares the width out before these are known, as if "
    "each column came once: give the columns a width."
)


def uncertain_widths(element: etree._Element, mask: Mask) -> Iterator[TemplateWarning]:
    """Yield a warning for a section or group whose columns stand in loops or branches and have no width."""
    deciding = [
        mask[index]
        for raw in element.iterchildren("mj-raw", BETWEEN)
        for index in mask.indices(raw.text or "")
        if _DECIDES.match(mask[index].text)
    ]
    if deciding and any(column.get("width") is None for column in element.iterchildren("mj-column", "mj-group")):
        yield TemplateWarning(deciding[0].line, "uncertain_width", _DETAIL)
