"""HTML with its lines indented: none is broken or joined, so that white space stays where there was some."""

import re

from backend.rendering.formatting.nesting import BREAK, STEP, VOID, Nesting, keyword_of
from backend.rendering.jinja.masking import ANY_PLACEHOLDER, Mask

_INSIDE = r"""(?:[^<>"']|"[^"]*"|'[^']*')*+"""
_TOKEN = re.compile(
    rf"(?P<kept><!--|<!\[CDATA\[|<(?P<own>pre|textarea|script|style)\b{_INSIDE}>)"
    rf"|<(?P<end>/?)(?P<name>!?[A-Za-z][\w.:-]*)(?P<inside>{_INSIDE})>"
    rf"|(?P<mask>{ANY_PLACEHOLDER})|(?P<breaks>{BREAK})",
    re.IGNORECASE,
)
_QUOTED = re.compile(rf"""("[^"]*"|'[^']*')|{BREAK}""")
WHITE_SPACE = re.compile(r"white-space", re.IGNORECASE)


def indented(text: str, mask: Mask, base: int = 0) -> str:
    """Indent masked HTML that stands ``base`` levels deep; its first line stays where it is."""
    if WHITE_SPACE.search(text):
        return text
    return _Indenter(text, mask, base).run()


def _end_of(text: str, begin: re.Match[str]) -> int:
    """Return where what is kept ends: with the text, if it is never closed."""
    closing = {"<!--": "-->", "<![cdata[": "]]>"}.get(begin[0].lower())
    if closing is not None:
        end = text.find(closing, begin.end())
        return len(text) if end < 0 else end + len(closing)
    found = re.compile(rf"</{begin['own']}\s*>", re.IGNORECASE).search(text, begin.end())
    return len(text) if found is None else found.end()


class _Indenter:
    def __init__(self, text: str, mask: Mask, base: int) -> None:
        self._text = text
        self._mask = mask
        self._base = base
        self._nesting = Nesting([])
        self._verbatim = False

    def run(self) -> str:
        pieces: list[str] = []
        position = 0
        while token := _TOKEN.search(self._text, position):
            pieces += [self._text[position : token.start()], self._written(token)]
            position = token.end()
            if token["kept"] is not None:
                end = _end_of(self._text, token)
                pieces.append(self._text[position:end])
                position = end
        return "".join((*pieces, self._text[position:]))

    def _written(self, token: re.Match[str]) -> str:
        if token["breaks"] is not None:
            return token[0] if self._verbatim or self._nesting.captured else self._break(token)
        if token["mask"] is not None:
            self._jinja(token["mask"])
            return token[0]
        if token["kept"] is not None or self._verbatim:
            return token[0]
        name = token["name"].lower()
        inside = token["inside"]
        if token["end"]:
            self._nesting.close(name)
            return token[0]
        written = token[0]
        if "\n" in inside and not self._nesting.captured:
            ahead = self._indent(self._nesting.depth + 2)
            inside = _QUOTED.sub(lambda found: found[1] or f"\n{ahead}", inside)
            written = f"<{token['name']}{inside}>"
        if name not in VOID and not inside.rstrip().endswith("/"):
            self._nesting.open(name)
        return written

    def _jinja(self, placeholder: str) -> None:
        for index in self._mask.indices(placeholder):
            hidden = self._mask[index]
            if hidden.kind == "verbatim":
                self._verbatim = not self._verbatim
            else:
                self._nesting.statement(hidden)

    def _break(self, token: re.Match[str]) -> str:
        lines = "\n\n" if token[0].count("\n") > 1 else "\n"
        follows = _TOKEN.match(self._text, token.end())
        if token.end() == len(self._text):
            return lines + self._indent(self._nesting.depth)
        return lines + self._indent(self._level(follows))

    def _level(self, follows: re.Match[str] | None) -> int:
        if follows is None:
            return self._nesting.depth
        if follows["mask"] is not None:
            found = self._mask.indices(follows["mask"])
            return self._nesting.before(keyword_of(self._mask[found[0]])) if found else self._nesting.depth
        if follows["end"]:
            return self._nesting.of(follows["name"].lower())
        return self._nesting.depth - self._nesting.implied(follows["name"] or "")

    def _indent(self, level: int) -> str:
        return STEP * (self._base + level)
