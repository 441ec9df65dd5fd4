"""MJML with every component and every Jinja token between components on lines of its own."""

import re

from backend.rendering.formatting.html import WHITE_SPACE, indented
from backend.rendering.formatting.nesting import STEP, Nesting, keyword_of
from backend.rendering.jinja.masking import ANY_PLACEHOLDER, Mask
from backend.rendering.mjml.components import DEFAULTS, ENDING

_INSIDE = r"""(?:[^<>"']|"[^"]*"|'[^']*')*+"""
_TOKEN = re.compile(
    rf"(?P<comment><!--|<\?|<!doctype\b)"
    rf"|<(?P<end>/?)(?P<name>[A-Za-z][\w.-]*)(?P<inside>{_INSIDE})>"
    rf"|(?P<mask>{ANY_PLACEHOLDER})|(?P<space>[ \t\n]+)|(?P<text>[^<\s]+|<)",
    re.IGNORECASE,
)
_CLOSING = {"<!--": "-->", "<?": "?>"}
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>=]+))?""")
_SPACE = re.compile(r"[ \t\n]+")
_LONGEST = 100  # characters of a tag on one line
_COMPONENTS = DEFAULTS | {"mj-include"}


def arranged(masked: str, mask: Mask) -> str | None:
    """Arrange a masked source; None where its tags cannot be read."""
    return _Arranger(masked, mask).run()


class _Arranger:
    def __init__(self, text: str, mask: Mask) -> None:
        self._text = text
        self._mask = mask
        self._nesting = Nesting([])
        self._lines: list[str] = []
        # Styles of the whole message may make white space count in any of its texts.
        self._free = not WHITE_SPACE.search(text)

    def run(self) -> str | None:
        position = 0
        while position < len(self._text):
            token = _TOKEN.match(self._text, position)
            if token is None or (token["name"] and token["name"] not in _COMPONENTS):
                return None
            end = self._take(token)
            if end is None:
                return None
            position = end
        return "\n".join(self._lines)

    def _take(self, token: re.Match[str]) -> int | None:
        """Write a token, or a component with what it holds; return where it ends, None if that cannot be found."""
        name = token["name"]
        if token["space"]:
            if token[0].count("\n") > 1 and self._lines and self._lines[-1]:
                self._lines.append("")
        elif token["mask"]:
            self._jinja(token["mask"])
        elif token["comment"]:
            closing = _CLOSING.get(token[0], ">")
            end = self._text.find(closing, token.end())
            if end < 0:
                return None
            self._line(self._nesting.depth, self._text[token.start() : end + len(closing)])
            return end + len(closing)
        elif not name:
            self._line(self._nesting.depth, token[0])
        elif token["end"]:
            self._line(self._nesting.of(name), _SPACE.sub("", token[0]))
            self._nesting.close(name)
        elif token["inside"].rstrip().endswith("/"):
            self._line(self._nesting.depth, self._tag(token))
        elif name in ENDING:
            return self._ending(token)
        else:
            self._line(self._nesting.depth, self._tag(token))
            self._nesting.open(name)
        return token.end()

    def _jinja(self, placeholder: str) -> None:
        hidden = [self._mask[index] for index in self._mask.indices(placeholder)]
        level = self._nesting.before(keyword_of(hidden[0])) if hidden else self._nesting.depth
        self._line(level, placeholder)
        for one in hidden:
            self._nesting.statement(one)

    def _ending(self, token: re.Match[str]) -> int | None:
        """Write a component that holds HTML: its lines are indented, and none is broken."""
        closing = re.compile(rf"<!--|<(/?){token['name']}\b{_INSIDE}>")
        open_ones, position = 1, token.end()
        while open_ones:
            found = closing.search(self._text, position)
            if found is None:
                return None
            position = found.end()
            if found[1] is None:
                position = self._text.find("-->", position)
                if position < 0:
                    return None
            else:
                open_ones += -1 if found[1] else 0 if found[0].endswith("/>") else 1
        held = self._text[token.end() : found.start()]  # type: ignore[union-attr] # the loop has found it
        level = self._nesting.depth
        self._line(level, f"{self._tag(token)}{self._held(held, token['name'], level)}</{token['name']}>")
        return position

    def _held(self, held: str, name: str, level: int) -> str:
        if "\n" not in held or not self._free:
            return held
        shown = _shifted(held, level + 1) if name == "mj-style" else indented(held, self._mask, level + 1)
        lines, _, last = shown.rpartition("\n")
        return shown if last.strip() else f"{lines}\n{STEP * level}"

    def _tag(self, token: re.Match[str]) -> str:
        """Write a tag on one line, or with each attribute on a line where that is too long."""
        inside, slash = token["inside"].rstrip(), ""
        if inside.endswith("/"):
            inside, slash = inside[:-1].rstrip(), " /"
        if _SPACE.sub("", _ATTRIBUTE.sub("", inside)):
            return token[0]
        found = [f"{one[1]}={one[2]}" if one[2] else one[1] for one in _ATTRIBUTE.finditer(inside)]
        line = " ".join((f"<{token['name']}", *found))
        if len(found) > 1 and len(line) + len(STEP) * self._nesting.depth > _LONGEST:
            line = f"\n{STEP * (self._nesting.depth + 2)}".join((f"<{token['name']}", *found))
        return f"{line}{slash}>"

    def _line(self, level: int, written: str) -> None:
        self._lines.append(STEP * level + written)


def _shifted(text: str, level: int) -> str:
    """Move lines so that the least indented stands at a level; what they are to each other stays."""
    first, *lines = text.split("\n")
    least = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    return "\n".join((first, *((STEP * level + line[least:].rstrip()) if line.strip() else "" for line in lines)))
