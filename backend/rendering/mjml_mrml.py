"""Compiles MJML by mjml-python, which is MRML, once each component says by itself what it is."""

import re
from copy import deepcopy
from itertools import groupby

from lxml import etree
from mjml import mjml2html

from backend.rendering.masking import Mask
from backend.rendering.mjml.defaults import DEFAULTS
from backend.rendering.mjml.elements import Defaults, Element
from backend.rendering.model import LANGUAGE

# MRML writes no alt where the reference writes an empty one.
_ALWAYS = {("mj-image", "alt")}
# MRML passes over a nought without a unit, and over lengths with more than a space between them.
_NOUGHT = re.compile(r"(?<![^ ])0(?![^ ])")


def by_mrml(plain: etree._Element) -> str | None:
    """Compile a tree that ``plainly`` returned; None where MRML refuses it or panics."""
    text = etree.tostring(plain, encoding="unicode")
    try:
        # A comment could otherwise land inside a conditional comment, which breaks Outlook and browsers. Of fonts only
        # those count that mj-font declares: asking Google for its Ubuntu would tell it who reads the message.
        return str(mjml2html(text, disable_comments=True, fonts={}))
    except BaseException as error:  # a panic of Rust is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return None


def plainly(root: etree._Element, mask: Mask) -> etree._Element:
    """Return a tree whose components say themselves all in which they differ from the defaults.

    What ``mj-attributes``, classes and parents say is resolved, and lengths are in one spelling.
    """
    plain = etree.Element("mjml")
    plain.attrib.update(root.attrib)
    plain.set("lang", root.get("lang") or LANGUAGE)
    plain.set("dir", root.get("dir") or "auto")
    defaults = Defaults(root)
    ends = mask.hide("<![endif]-->", 1, "content"), mask.hide("<!--[if mso | IE]>", 1, "content")
    for part in root:
        if part.tag == "mj-body":
            _write(plain, Element(part, defaults), ends)
        else:
            _write_head(etree.SubElement(plain, str(part.tag)), part)
    return plain


def _write_head(plain: etree._Element, head: etree._Element) -> None:
    """Leave out what is empty, which MRML writes nevertheless, and write style sheets as one; the last title counts."""
    for one in head:
        text = one.text or ""
        if one.tag in {"mj-title", "mj-preview"} and (earlier := plain.find(str(one.tag))) is not None:
            plain.remove(earlier)
        if one.tag == "mj-attributes" or (one.tag in {"mj-title", "mj-preview", "mj-style"} and not text.strip()):
            continue
        sheet = plain.find("mj-style") if one.tag == "mj-style" else None
        if sheet is not None:
            sheet.text = f"{sheet.text}\n{text}"
        else:
            plain.append(deepcopy(one))


def _write(parent: etree._Element, element: Element, ends: tuple[str, str]) -> None:
    plain = etree.SubElement(parent, element.tag, _attributes(element))
    plain.text = element.node.text
    for is_raw, together in groupby(element.children(), lambda child: child.is_raw):
        if not is_raw:
            for child in together:
                _write(plain, child, ends)
        elif text := "".join(child.content for child in together):
            # What stands between the sections of a wrapper MRML writes into the comment that only Outlook reads.
            raw = f"{ends[0]}{text}{ends[1]}" if element.tag == "mj-wrapper" else text
            etree.SubElement(plain, "mj-raw").text = raw


def _attributes(element: Element) -> dict[str, str]:
    defaults, found = DEFAULTS.get(element.tag, {}), {}
    for name, value in element.attributes.items():
        if name == "mj-class" or (value == defaults.get(name) and (element.tag, name) not in _ALWAYS):
            continue
        written = _NOUGHT.sub("0px", " ".join(value.split())) if "padding" in name else value
        found[name] = written.replace("&quot;", '"').replace("&lt;", "<") if "&" in written else written
    return found
