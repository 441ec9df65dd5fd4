"""Says what is wrong with Jinja that cannot be parsed: which tag, on which line, and what to write instead.

Jinja stops where it can read no further, which may be far behind the mistake. So tags are looked for that end
otherwise than they begin, then the one is parsed alone that stands where Jinja stopped, then the order of all is seen.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import NamedTuple

from jinja2 import Environment, TemplateSyntaxError

from backend.rendering.faults import TemplateFault
from backend.rendering.jinja.syntax_phrases import phrase

_OPENING = re.compile(r"\{[{%#]")
_STRING = r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'"""
_PIECE = re.compile(rf"""{_STRING}|\{{[{{%#]|[}}%]\}}|[{{}}"']""", re.DOTALL)
_WORD = re.compile(r"\{%[-+]?\s*(\w*)\s*([\w-]*)")
_EDGE = re.compile(r"\A\{[{%][-+]?|[-+]?[}%]\}\Z")
_END_OF_RAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_NESTED = re.compile(r"[^{}\n]*[%}]\}[^{}%\n]*")
_MOST_TAGS = 5_000
_MOST_TRIED = 200
_ENDED = frozenset({"autoescape", "block", "call", "filter", "for", "if", "macro", "set", "with"})
_SINGLE = frozenset({"break", "continue", "do", "extends", "from", "import", "include"})
_INSIDE = {"elif": frozenset({"if"}), "else": frozenset({"for", "if"})}
_TAGS = sorted({*_ENDED, *_SINGLE, *_INSIDE, "raw", *(f"end{tag}" for tag in _ENDED)})
# How other languages of templates call it.
_ELSEWHERE = {
    **dict.fromkeys(("elseif", "elsif", "elif_"), "write {% elif … %}"),
    **dict.fromkeys(("foreach", "each", "loop", "while"), "write {% for item in list %}"),
    **dict.fromkeys(("unless",), "write {% if not … %}"),
    **dict.fromkeys(("switch", "case", "when"), "write {% if … %} and {% elif … %}"),
    **dict.fromkeys(("assign", "let", "var", "capture"), "write {% set name = value %}"),
    **dict.fromkeys(("comment", "endcomment"), "write {# and #} around a comment"),
    **dict.fromkeys(("fi", "done"), "write {% endif %} or {% endfor %}"),
    **dict.fromkeys(("endforeach", "endwhile", "next"), "write {% endfor %}"),
    **dict.fromkeys(("print", "echo"), "write {{ name }}"),
    **dict.fromkeys(("load", "url", "csrf_token", "trans", "static"), "it is of another language of templates"),
}


class Tag(NamedTuple):
    """A Jinja tag with its brackets; ``fault`` says why it does not end."""

    text: str
    line: int
    fault: str | None = None

    @property
    def words(self) -> tuple[str, str]:
        """Return the first two words of a statement, which are empty for all else."""
        found = _WORD.match(self.text)
        return (found[1], found[2]) if found else ("", "")

    @property
    def shown(self) -> str:
        """Return a statement as a sentence names it."""
        return " ".join(part for part in ("{%", *self.words, "%}") if part)


def mistake(environment: Environment, text: str, error: TemplateSyntaxError) -> TemplateFault:
    """Return the mistake for which Jinja refused a text whose line breaks are line feeds."""
    tags = list(islice(_tags(text), _MOST_TAGS))
    if tags and tags[-1].fault:
        return TemplateFault(tags[-1].fault, tags[-1].line)
    here = (tag for tag in tags if tag.line <= error.lineno <= tag.line + tag.text.count("\n"))
    for tag in islice(here, _MOST_TRIED):
        if (fault := _in_tag(environment, tag)) is not None:
            return fault
    return _in_order(tags) or TemplateFault(phrase(error.message or ""), error.lineno)


def _tags(text: str) -> Iterator[Tag]:
    """Yield the statements and expressions of a text, up to the first that does not end as it should."""
    position, line = 0, 1
    while found := _OPENING.search(text, position):
        start = found.start()
        line += text.count("\n", position, start)
        fault = None
        if found[0] == "{#":
            end = text.find("#}", start) + 2
            if end < start:
                yield Tag(found[0], line, _COMMENT)
                return
        else:
            end, fault = _end(text, start)
            yield Tag(text[start:end], line, fault)
            if fault:
                return
        if _WORD.match(text[start:end]) and Tag(text[start:end], line).words[0] == "raw":
            closing = _END_OF_RAW.search(text, end)
            if closing is None:
                yield Tag(text[start:end], line, phrase("Missing end of raw directive"))
                return
            end = closing.end()
        line += text.count("\n", start, end)
        position = end


_COMMENT = (
    "a comment begins here with {# and is never closed: write #} where it ends, or a space between { and # where it"
    " is text or CSS"
)
_QUOTES = "a text in quotes does not end: a quotation mark is missing or stands inside of the text"


def _end(text: str, start: int) -> tuple[int, str | None]:
    """Return where a tag ends; of one that does not, why."""
    opening, depth, position, swallowed = text[start : start + 2], 0, start + 2, False
    closing = "}}" if opening == "{{" else "%}"
    while piece := _PIECE.search(text, position):
        found, position = piece[0], piece.end()
        if found == closing and not depth:
            return position, None
        if found in {"{", "}", "}}"} and (depth or len(found) == 1):
            depth = max(depth + (1 if found == "{" else -1), 0)
            position = piece.start() + 1
        elif found in {'"', "'"}:
            return position, _QUOTES
        elif found[0] in "\"'":
            swallowed = swallowed or closing in found
        elif found in {"}}", "%}"}:
            return position, f"a tag that begins with {opening} is closed by {closing}, not by {found}"
        else:
            return position, _QUOTES if swallowed else _interrupted(text, piece, opening, closing)
    return len(text), _QUOTES if swallowed else f"{opening} is never closed: write {closing} where the tag ends"


def _interrupted(text: str, piece: re.Match[str], opening: str, closing: str) -> str:
    """Say what is wrong with a tag in which another begins."""
    inner = _NESTED.match(text, piece.end())
    if piece[0] == "{{" and inner is not None and text.startswith(closing, inner.end()):
        return "a Jinja tag cannot stand inside of another: write the name alone, without {{ and }} around it"
    return f"{opening} is never closed: write {closing} where the tag ends"


def _in_tag(environment: Environment, tag: Tag) -> TemplateFault | None:
    """Return what is wrong with a tag, if it is that even alone."""
    word, second = tag.words
    if tag.text.startswith("{%") and word and word not in _TAGS and word != "end":
        return TemplateFault(f"there is no tag '{word[:40]}'{_instead(word)}", tag.line)
    if word.startswith("end"):
        return None
    alone = tag.text
    if word in _INSIDE:
        alone = "{% if 1 %}" + alone + "{% endif %}"
    elif word in _ENDED and not _is_assignment(tag):
        alone += f"{{% end{word} %}}"
    try:
        environment.parse(alone)
    except TemplateSyntaxError as error:
        line = tag.line + min(error.lineno - 1, tag.text.count("\n"))
        return TemplateFault(_hint(tag, word, second) or phrase(error.message or ""), line)
    return None


def _instead(word: str) -> str:
    if word in _ELSEWHERE:
        return f": {_ELSEWHERE[word]}"
    close = get_close_matches(word[:40], _TAGS, n=1, cutoff=0.6)
    return f"; did you mean {{% {close[0]} %}}?" if close else " in Jinja"


def _is_assignment(tag: Tag) -> bool:
    return tag.words[0] == "set" and "=" in _bare(tag)


def _bare(tag: Tag) -> str:
    """Return what a tag says beside texts in quotes, and what brackets hold."""
    inside = re.sub(_STRING, "''", _EDGE.sub("", tag.text), flags=re.DOTALL)
    return re.sub(r"\([^()]*\)", "()", inside).strip()


# What is taken from other languages, and from word processors, by what to write for it.
_FOREIGN = [
    (re.compile(pattern), said)
    for pattern, said in (
        (r"[\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb]", "Jinja takes straight quotation marks alone: write \" or '"),
        (r"&(?:amp|gt|lt|nbsp|quot|#\w+);", "a character is spelled as in HTML: write the character itself in Jinja"),
        (r"&&", "write 'and' in place of &&"),
        (r"\|\|", "write 'or' in place of ||"),
        (r"===", "write == in place of ==="),
        (r"!==", "write != in place of !=="),
        (r"<>", "write != in place of <>"),
        (r"!(?!=)", "write 'not' in place of !"),
        (r"\?\?", "write name|default('…') in place of ??"),
        (r"\?", "write {{ a if condition else b }} in place of ? and :"),
        (r"->|=>", "write a dot between a name and its member"),
        (r"\+\+|--|[-+*/]=", "write {% set n = n + 1 %} to count"),
        (r"\$", "write names without $"),
        (r"@", "write names without @"),
        (r"\Aelse\s*if\b", "write elif in place of 'else if'"),
        (r";", "a tag says one thing and has no semicolon"),
    )
]
_COMPARE = "a single = gives a value: write == to compare"
_PRINT = "{{ }} prints a value: write {% set name = value %} to give one, or == to compare"
_SINGLE_EQUALS = re.compile(r"(?<![=!<>])=(?!=)")
# How a statement is written; what it is refused for otherwise would not tell.
_FORMS = [
    (word, re.compile(pattern), said)
    for word, pattern, said in (
        ("for", r"for\s+[\w.,()\s]+?\sin\s+\S", "a loop is written {% for item in list %}"),
        (
            "set",
            r"set\s+[\w.,()\s]+(?:=\s*\S|\||$)",
            "a value is given by {% set name = value %}; a name has no hyphen",
        ),
        ("block", r"block\s+\w+\s*(?!-)", "the name of a block has letters, digits and _ only: {% block my_name %}"),
        ("macro", r"macro\s+\w+\s*\(", "a macro is written {% macro name(arguments) %}"),
        ("import", r"import\s+\S+\s+as\s+\w", "write {% import 'NAME' as name %}"),
        ("from", r"from\s+\S+\s+import\s+\w", "write {% from 'NAME' import macro %}"),
        ("with", r"with\s+\w+\s*=", "write {% with name = value %}"),
        ("if", r"if\s+\S", "a condition is missing: write {% if name %}"),
        ("elif", r"elif\s+\S", "a condition is missing: write {% elif name %}"),
        ("include", r"include\s+\S", "write {% include 'NAME' %}"),
        ("extends", r"extends\s+\S", "write {% extends 'NAME' %}"),
    )
]


def _hint(tag: Tag, word: str, second: str) -> str | None:
    """Say what to write for what people write who know another language."""
    bare = _bare(tag)
    said = [said for pattern, said in _FOREIGN if pattern.search(bare)]
    if word in {"", "elif", "if"} and _SINGLE_EQUALS.search(bare):
        said.append(_COMPARE if word else _PRINT)
    if not word and not bare:
        said.append("there is nothing to print between {{ and }}")
    if word == "block" and "-" in second:
        said.append(f"the name of a block has no hyphen: write {second.replace('-', '_')}")
    said += [form_said for form, pattern, form_said in _FORMS if form == word and not pattern.match(bare)]
    return said[0] if said else None


def _in_order(tags: list[Tag]) -> TemplateFault | None:
    """Return the first tag that is closed by another, closes nothing, or is never closed."""
    opened: list[Tag] = []
    for tag in tags:
        word, name = tag.words
        if word in _ENDED and not _is_assignment(tag):
            opened.append(tag)
        elif word in _INSIDE and (not opened or opened[-1].words[0] not in _INSIDE[word]):
            where = " or ".join(f"{{% {one} %}}" for one in sorted(_INSIDE[word]))
            return TemplateFault(f"{tag.shown} belongs between {where} and its end", tag.line)
        elif word.startswith("end"):
            if (fault := _closing(tag, word[3:], name, opened)) is not None:
                return fault
            opened.pop()
    if not opened:
        return None
    tag, word = opened[-1], opened[-1].words[0]
    otherwise = ", or give a value by {% set name = value %}" if word == "set" else ""
    return TemplateFault(f"{tag.shown} is never closed: write {{% end{word} %}} where it ends{otherwise}", tag.line)


def _closing(tag: Tag, closed: str, name: str, opened: list[Tag]) -> TemplateFault | None:
    """Say what is wrong with a tag that ends another, if the innermost that is open is not the one."""
    if not opened:
        return TemplateFault(f"{tag.shown} closes nothing: there is no open tag before it", tag.line)
    inner = opened[-1]
    word, of = inner.words
    if closed == word:
        wrong = word == "block" and name and name != of
        reason = f"the block '{of}' of line {inner.line} is closed by {tag.shown}: write {{% endblock %}}"
        return TemplateFault(reason, tag.line) if wrong else None
    if any(one.words[0] == closed for one in opened):
        return TemplateFault(
            f"{inner.shown} is never closed: {tag.shown} on line {tag.line} comes before {{% end{word} %}}", inner.line
        )
    return TemplateFault(
        f"{inner.shown} of line {inner.line} is closed by {tag.shown}: write {{% end{word} %}}", tag.line
    )
