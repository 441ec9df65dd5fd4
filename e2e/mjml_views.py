"""What a mail program makes of a message: all but Outlook, or Outlook, which reads the conditional comments."""

import re
from html import unescape

_NOT_OUTLOOK = re.compile(r"<!--\[if !mso[^\]]*\]><!-->.*?<!--<!\[endif\]-->", re.DOTALL)
_OUTLOOK = re.compile(r"<!--\[if (?!lte)[^\]]*\]>(.*?)<!\[endif\]-->", re.DOTALL)
# The reference leaves them out now and then, where HTML lets it.
_OPTIONAL = frozenset({"</meta>", "</td>"})
_TOKEN = re.compile(
    r"""<!--.*?-->|(?P<style><style[^>]*>.*?</style>)|<(?P<end>/?)(?P<name>[a-zA-Z][\w:-]*)"""
    r"""(?P<attributes>(?:[^<>"']|"[^"]*"|'[^']*')*)>|(?P<text>[^<]+|<)""",
    re.DOTALL,
)
# Of widths no element has more than one, so the order of their rules counts nothing.
_WIDTH = re.compile(r"(?:\.moz-text-html )?\.mj-column-p(?:er|x)-[\d-]+\{[^}]*\}")
_WIDTHS = re.compile(rf"(?:{_WIDTH.pattern})+")
# What a browser does anyway.
_IDLE = frozenset({"word-spacing:normal"})
_NO_ATTRIBUTES = frozenset({"vertical-align"})
_NOUGHT = re.compile(r"(?<=[: ])0px(?=$|[ ;])")
_SIDE = re.compile(r"^padding-\w+")
_ATTRIBUTE = re.compile(r"""([\w:-]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")
_MADE_UP = re.compile(r"(?<=mj-carousel-)[0-9a-f]{8,16}|(?<=radio-)[0-9a-f]{8,16}|(?<=\")[0-9a-f]{8,16}(?=\")")


def outlook(html: str) -> str:
    """Return the message as Outlook reads it: what is for it shown, what is not for it gone."""
    return _OUTLOOK.sub(lambda match: match[1], _NOT_OUTLOOK.sub("", html))


def canonical(html: str) -> list[str]:
    """Return the parts of a message in one spelling; two messages with the same parts look the same.

    Space between tags counts as one space, the order of attributes and of unrelated declarations not at all.
    """
    names: dict[str, str] = {}
    html = _MADE_UP.sub(lambda match: names.setdefault(match[0], f"id{len(names)}"), html)
    parts: list[str] = []
    for match in _TOKEN.finditer(html):
        if match["style"]:
            css = " ".join(re.sub(r"\s*([{};:,>~+])\s*", r"\1", match["style"]).split())
            parts.append(_WIDTHS.sub(lambda rules: "".join(sorted(_WIDTH.findall(rules[0]))), css))
        elif match["name"]:
            end = "/" if match["end"] else ""
            parts.append(f"<{end}{match['name'].lower()}{_attributes(match['attributes'])}>")
        elif match["text"] and (text := " ".join(match["text"].split())):
            parts.append(text)
    return [part for part in parts if part not in _OPTIONAL]


def _attributes(text: str) -> str:
    found = {}
    for match in _ATTRIBUTE.finditer(text.rstrip("/")):
        name, value = match[1].lower(), (match[2] or "").strip("\"'")
        value = _declarations(value) if name == "style" else " ".join(unescape(value).split())
        if name in _NO_ATTRIBUTES:
            continue
        if (value or name not in {"class", "style"}) and name != "lang":  # ours is never unknown
            found[name] = " ".join(sorted(value.split())) if name == "class" else value
    return "".join(f' {name}="{value}"' for name, value in sorted(found.items()))


def _declarations(style: str) -> str:
    pairs = [pair.partition(":") for pair in style.split(";") if pair.strip()]
    written = [f"{name.strip().lower()}:{' '.join(value.split())}" for name, _, value in pairs]
    written = [_NOUGHT.sub("0", one) for one in written if one not in _IDLE]
    # The order counts among those of one family alone, as of border and border-left; but not of single sides.
    keys, shorthands = [], 0
    for one in written:
        shorthands += one.startswith("padding:")
        keys.append((one.split("-")[0].split(":")[0], shorthands, _SIDE.findall(one)))
    return ";".join(one for _, one in sorted(zip(keys, written, strict=True), key=lambda pair: pair[0]))
