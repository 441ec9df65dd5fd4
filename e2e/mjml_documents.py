"""Random MJML that is valid: every component, its attributes in every spelling that the reference compiler takes.

Each document is about one kind of component, the rest of it is chosen at random. The same seed and number give the
same document, on every machine.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape

_PADDING = "padding=spaces padding-top=space padding-right=space padding-bottom=space padding-left=space"
_INNER_PADDING = _PADDING.replace("padding", "inner-padding")
_ICO_PADDING = _PADDING.replace("padding", "ico-padding")
_BORDERS = "border=border border-top=border border-right=border border-bottom=border border-left=border"
_INNER_BORDERS = _BORDERS.replace("border", "inner-border").replace("=inner-border", "=border")
_BOX = f"container-background-color=colour {_PADDING}"
_FONT = "color=colour font-family=family font-size=size font-weight=weight line-height=line"
_WRITING = f"{_FONT} font-style=slant letter-spacing=spacing text-decoration=decoration text-transform=case"
_LINK = "href=address rel=word target=target title=word name=word"
_GROUND = (
    "background-color=colour background-url=picture background-repeat=repeat background-size=cover "
    f"background-position=position background-position-x=across background-position-y=down {_BORDERS} "
    f"border-radius=radius direction=direction full-width=full-width {_PADDING} text-align=align text-padding=spaces"
)
_ICONS = (
    "border=border font-family=family icon-align=vertical icon-width=size icon-height=size icon-position=side "
    "icon-wrapped-url=picture icon-unwrapped-url=picture icon-wrapped-alt=word icon-unwrapped-alt=word"
)
_SOCIAL = (
    "border=border border-radius=radius color=colour font-family=family font-size=size font-style=slant "
    "font-weight=weight icon-size=size icon-height=size icon-padding=spaces line-height=line "
    f"text-padding=spaces text-decoration=decoration {_PADDING}"
)
ATTRIBUTES = {
    "mj-body": "width=body background-color=colour id=word",
    "mj-section": f"{_GROUND} gutter=gutter",
    "mj-wrapper": f"{_GROUND} gap=gap",
    "mj-group": "background-color=colour direction=direction vertical-align=vertical width=part",
    "mj-column": (
        f"background-color=colour {_BORDERS} border-radius=radius direction=direction inner-background-color=colour "
        f"{_INNER_BORDERS} inner-border-radius=radius {_PADDING} vertical-align=vertical width=part"
    ),
    "mj-hero": (
        "mode=hero height=height background-url=picture background-width=large background-height=large "
        "background-position=place background-color=colour border-radius=radius inner-background-color=colour "
        f"{_INNER_PADDING} {_PADDING} vertical-align=vertical"
    ),
    "mj-text": f"align=justify background-color=colour height=height {_WRITING} {_BOX} vertical-align=vertical",
    "mj-button": (
        f"align=align background-color=ground {_BORDERS} border-radius=radius height=height inner-padding=spaces "
        f"text-align=align vertical-align=vertical width=width {_LINK} {_WRITING} {_BOX}"
    ),
    "mj-image": (
        f"alt=word src=picture align=align {_BORDERS} border-radius=radius fluid-on-mobile=boolean height=tall "
        f"max-height=height width=large font-size=size {_LINK} {_BOX}"
    ),
    "mj-divider": f"align=align border-color=colour border-style=line-style border-width=size width=width {_BOX}",
    "mj-spacer": f"{_BORDERS} height=height {_BOX}",
    "mj-table": (
        "align=align border=border cellpadding=number cellspacing=number table-layout=layout width=table "
        f"{_FONT} {_BOX} role=role vertical-align=vertical"
    ),
    "mj-social": (
        f"align=align mode=mode inner-padding=spaces table-layout=layout {_SOCIAL} container-background-color=colour "
        "vertical-align=vertical"
    ),
    "mj-social-element": (
        "align=align background-color=colour icon-position=side src=picture alt=word vertical-align=vertical "
        f"{_SOCIAL} {_LINK} name=network"
    ),
    "mj-accordion": f"{_ICONS} {_BOX}",
    "mj-accordion-element": f"background-color=colour {_ICONS}",
    "mj-accordion-title": (
        f"background-color=colour color=colour font-size=size font-family=family font-weight=weight {_PADDING}"
    ),
    "mj-accordion-text": f"background-color=colour letter-spacing=spacing {_FONT} {_PADDING}",
    "mj-navbar": (
        "align=align base-url=address hamburger=hamburger ico-align=align ico-open=word ico-close=word "
        "ico-color=colour ico-font-size=size ico-font-family=family ico-text-transform=case "
        f"{_ICO_PADDING} ico-text-decoration=decoration ico-line-height=line {_PADDING}"
    ),
    "mj-navbar-link": f"{_WRITING} {_PADDING} href=address target=target rel=word name=word",
    "mj-carousel": (
        "align=align border-radius=radius icon-width=size left-icon=picture right-icon=picture "
        "thumbnails=thumbnails tb-border=border tb-border-radius=radius tb-hover-border-color=colour "
        f"tb-selected-border-color=colour tb-width=size {_BOX}"
    ),
    "mj-carousel-image": (
        "alt=word src=picture href=address rel=word target=target title=word thumbnails-src=picture "
        "border-radius=radius tb-border=border tb-border-radius=radius"
    ),
}
_CHOICES = {
    "align": "left center right",
    "justify": "left center right justify",
    "side": "left right",
    "vertical": "top middle bottom",
    "direction": "ltr rtl",
    "full-width": "full-width full-width false",
    "repeat": "repeat no-repeat",
    "across": "left center right 25%",
    "down": "top center bottom 60%",
    "weight": "bold 300 700 normal",
    "slant": "italic normal",
    "decoration": "underline none line-through",
    "case": "uppercase lowercase capitalize none",
    "line-style": "solid dashed dotted double",
    "layout": "auto fixed",
    "mode": "horizontal vertical",
    "hero": "fixed-height fluid-height",
    "hamburger": "hamburger",
    "thumbnails": "visible hidden supported",
    "boolean": "true false",
    "role": "none presentation",
    "target": "_blank _self",
    "word": "alpha beta gamma",
    "network": "facebook github web x-noshare facebook-noshare",
    "address": "https://site.example/a?b=1&amp;c=2 https://site.example/",
    "ground": "none #414141 #0a5 red",
}
_PHRASES = {
    "position": ("top center", "center", "left bottom", "bottom right", "50% 20%", "center left", "top"),
    "place": ("center center", "top left", "bottom"),
    "cover": ("auto", "cover", "contain", "100px", "120px 60px", "50% 50%"),
    "family": ("Arial, sans-serif", "Georgia, serif", "'Courier New', monospace"),
    "colour": ("#123456", "#f0a", "#EEF", "red", "rgb(10, 120, 200)", "#ffffff", "transparent"),
    "radius": ("4px", "50%", "0", "4px 12px", "10px 0 0 10px"),
}
_COLUMN = ("text", "button", "image", "divider", "spacer", "table", "social", "accordion", "carousel", "navbar", "raw")
KINDS = (
    "body", "section", "column", "group", "wrapper", "gutter", "hero", "text", "button", "image", "divider", "spacer",
    "table", "social", "accordion", "carousel", "navbar", "raw", "defaults", "classes", "conditional",
)  # fmt: skip
_OUTLOOK = (
    "<!--[if mso | IE]><table><tr><td>Outlook</td></tr></table><![endif]-->",
    "<!--[if mso]><p>Outlook alone</p><![endif]-->",
    "<!--[if !mso]><!--><p>all <b>but</b> Outlook</p><!--<![endif]-->",
    "<!--[if !mso | IE]><!--><i>all but Outlook</i><!--<![endif]-->",
)
_INLINE = (
    "some words", "<b>bold</b> and plain", "a &amp; b &nbsp; c", "one<br />two", "<ul><li>one</li><li>two</li></ul>",
    "<p>a paragraph</p>", "<a href='https://site.example/'>link</a>", "a longer line of words " * 6,
    "<span style='color:red'>red</span>",
)  # fmt: skip


@dataclass(frozen=True)
class Document:
    """One document: ``number`` and seed lead to it again."""

    number: int
    kind: str
    source: str


def documents(count: int, seed: int, first: int = 0) -> Iterator[Document]:
    """Write so many documents, the kinds in turn."""
    for number in range(first, first + count):
        kind = KINDS[number % len(KINDS)]
        yield Document(number, kind, Writer(random.Random(f"{seed}:{number}"), kind).document())


class Writer:
    """Writes one document; ``kind`` stands in it often and with many attributes."""

    def __init__(self, chance: random.Random, kind: str) -> None:
        self._chance = chance
        self._kind = kind
        self._classes = [f"class-{number}" for number in range(chance.randint(1, 3))]

    def document(self) -> str:
        body = "".join(self._choose(self._outer) for _ in range(self._chance.randint(1, 3)))
        head = self._head()
        return f"<mjml>\n<mj-head>{head}</mj-head>\n{self._element('mj-body', body)}\n</mjml>"

    @cached_property
    def _outer(self) -> list[Callable[[], str]]:
        kinds = {"wrapper": [self._wrapper], "hero": [self._hero], "group": [self._section]}
        return kinds.get(self._kind, []) * 3 + [self._section, self._section, self._wrapper, self._hero]

    def _choose(self, makers: list[Callable[[], str]]) -> str:
        return self._chance.choice(makers)()

    def _wrapper(self) -> str:
        inside = [self._section, self._section, self._hero] if self._chance.random() < 0.3 else [self._section]
        parts = [self._choose(inside) for _ in range(self._chance.randint(1, 3))]
        if self._chance.random() < 0.2:
            parts.insert(self._chance.randint(0, len(parts)), self._raw("mj-raw"))
        return self._element("mj-wrapper", "".join(parts))

    def _section(self) -> str:
        count = self._chance.choice([1, 1, 2, 2, 3, 4, 7])
        group = self._chance.random() < (0.8 if self._kind == "group" else 0.15)
        parts = [self._column() for _ in range(count)]
        if group:
            inside = "".join(parts[: self._chance.randint(1, count)])
            parts = [self._element("mj-group", inside), *parts[len(parts) - 1 :][: self._chance.randint(0, 1)]]
        if self._chance.random() < (0.4 if self._kind == "raw" else 0.05):
            parts.insert(self._chance.randint(0, len(parts)), self._raw("mj-raw"))
        always = "gutter" if self._kind == "gutter" else ""
        return self._element("mj-section", "".join(parts), always)

    def _column(self) -> str:
        return self._element("mj-column", self._contents())

    def _hero(self) -> str:
        return self._element("mj-hero", self._contents())

    def _contents(self) -> str:
        favoured = [self._kind] * 12 if self._kind in _COLUMN else []
        favoured += ["text"] * 6
        kinds = [self._chance.choice([*favoured, *_COLUMN]) for _ in range(self._chance.randint(0, 3))]
        return "".join(self._content(kind) for kind in kinds)

    def _content(self, kind: str) -> str:
        name = f"mj-{kind}"
        if kind == "raw":
            return self._raw(name)
        return self._element(name, self._inside(kind), "src" if kind == "image" else "")

    def _inside(self, kind: str) -> str:
        makers: dict[str, Callable[[], str]] = {
            "text": self._text,
            "table": self._rows,
            "button": lambda: self._chance.choice(["Press", "<b>Press</b> here", "two words"]),
            "social": lambda: self._several("mj-social-element", ["", "Share", "Follow us"]),
            "navbar": lambda: self._several("mj-navbar-link", ["Home", "About us"], "href"),
            "carousel": lambda: self._several("mj-carousel-image", [""], "src"),
            "accordion": lambda: "".join(self._accordion_element() for _ in range(self._chance.randint(1, 3))),
        }
        return makers[kind]() if kind in makers else ""

    def _rows(self) -> str:
        row = f"<tr><td>{self._words()}</td><td style='padding:3px'>{self._words()}</td></tr>"
        return row * self._chance.randint(1, 3)

    def _accordion_element(self) -> str:
        title = self._element("mj-accordion-title", "Title") if self._chance.random() < 0.85 else ""
        text = self._element("mj-accordion-text", self._words()) if self._chance.random() < 0.85 else ""
        return self._element("mj-accordion-element", title + text)

    def _several(self, name: str, contents: list[str], always: str = "") -> str:
        count = self._chance.randint(1, 4)
        return "".join(self._element(name, self._chance.choice(contents), always) for _ in range(count))

    def _raw(self, name: str) -> str:
        return f"<{name}>{self._chance.choice(_OUTLOOK) if self._chance.random() < 0.4 else ''}</{name}>"

    def _words(self) -> str:
        return self._chance.choice(_INLINE)

    def _text(self) -> str:
        parts = [self._words() for _ in range(self._chance.randint(1, 3))]
        if self._chance.random() < (0.9 if self._kind == "conditional" else 0.05):
            parts.insert(self._chance.randint(0, len(parts)), self._chance.choice(_OUTLOOK))
        return " ".join(parts)

    def _element(self, name: str, inside: str, always: str = "") -> str:
        return f"<{name}{self._attributes(name, always)}>{inside}</{name}>" if inside else self._empty(name, always)

    def _empty(self, name: str, always: str) -> str:
        return f"<{name}{self._attributes(name, always)} />"

    def _attributes(self, name: str, always: str = "") -> str:
        values = self._values(name, always, 0.22 if self._kind in name else 0.07)
        if self._chance.random() < (0.6 if self._kind == "classes" else 0.06):
            values["mj-class"] = " ".join(
                self._chance.sample(self._classes, self._chance.randint(1, len(self._classes)))
            )
        if self._chance.random() < 0.05:
            values["css-class"] = self._chance.choice(["own", "own other"])
        for key in list(values):
            if key.endswith(("color", "url", "radius")) and self._chance.random() < 0.03:
                values[key] = ""
        return "".join(f' {key}="{value}"' for key, value in values.items())

    def _values(self, name: str, always: str, share: float) -> dict[str, str]:
        known = dict(pair.split("=") for pair in ATTRIBUTES[name].split())
        return {key: self._value(kind) for key, kind in known.items() if key == always or self._chance.random() < share}

    def _value(self, kind: str) -> str:
        if kind in _CHOICES:
            return self._chance.choice(_CHOICES[kind].split())
        if kind in _PHRASES:
            return self._chance.choice(_PHRASES[kind])
        measure: Callable[[], str] = getattr(self, "_" + kind.replace("-", "_"))
        return measure()

    def _length(self, low: int, high: int, percents: float = 0.0) -> str:
        """Write a length as people do: with and without its unit, nought as nought, a fraction now and then."""
        number = self._chance.randint(low, high)
        if self._chance.random() < percents:
            return f"{self._chance.choice([number % 100 + 1, 33.33, 12.5])}%"
        return self._chance.choice([f"{number}px"] * 8 + [f"{number}", f"{number}.5px", "0px", "0"])

    def _space(self) -> str:
        return self._length(0, 30, 0.1)

    def _spaces(self) -> str:
        parts = [self._length(0, 30, 0.07) for _ in range(self._chance.choice([1, 1, 2, 2, 3, 4]))]
        return self._chance.choice([" ", " ", " ", "  "]).join(parts)

    def _border(self) -> str:
        width = self._length(1, 9)
        style, colour = self._chance.choice(["solid", "dashed"]), self._value("colour")
        return self._chance.choice([f"{width} {style} {colour}"] * 5 + [f"{style} {width} {colour}", "none", "0"])

    def _size(self) -> str:
        return self._length(8, 40)

    def _line(self) -> str:
        return self._chance.choice(["1", "1.5", "20px", "120%", "30px"])

    def _spacing(self) -> str:
        return self._chance.choice(["1px", "-1px", "0.1em", "0"])

    def _height(self) -> str:
        return self._length(20, 200, 0.05)

    def _tall(self) -> str:
        return self._chance.choice(["auto", self._length(20, 120)])

    def _large(self) -> str:
        return self._length(30, 700)

    def _width(self) -> str:
        return self._length(60, 300, 0.4)

    def _table(self) -> str:
        return self._chance.choice(["auto", self._width()])

    def _part(self) -> str:
        return self._chance.choice(
            ["50%", "33.33%", "33.333333%", "25%", "14.2857%", "66%", "200px", "150", "133.5px", "100%"]
        )

    def _body(self) -> str:
        return self._chance.choice(["700px", "500px", "640", "333px", "601px"])

    def _gutter(self) -> str:
        return self._chance.choice(["10px", "15px", "20", "5%", "2.5%", "0", "7px"])

    def _gap(self) -> str:
        return self._chance.choice(["10px", "24px", "0", "0px"])

    def _number(self) -> str:
        return self._chance.choice(["0", "2", "5", "8px"])

    def _picture(self) -> str:
        width, height = self._chance.choice([(300, 120), (100, 60), (600, 240), (40, 40)])
        return f"https://images.example/{width}x{height}-{self._chance.choice(['blue', 'green', 'olive'])}.png"

    def _head(self) -> str:
        share = {"defaults": 0.9, "classes": 0.9}.get(self._kind, 0.25)
        parts = ["<mj-title>A title</mj-title>"] if self._chance.random() < 0.5 else []
        parts += ["<mj-preview>before all</mj-preview>"] if self._chance.random() < 0.3 else []
        parts += ['<mj-breakpoint width="400px" />'] if self._chance.random() < 0.2 else []
        parts += ["<mj-style>.own { color: #123456 }</mj-style>"] if self._chance.random() < 0.3 else []
        parts += [self._class(name) for name in self._classes]
        inside = "".join(parts.pop() for _ in self._classes)
        if self._chance.random() < share:
            names = self._chance.sample(sorted(ATTRIBUTES), self._chance.randint(1, 5))
            inside += "".join(self._default(name) for name in names)
        if self._chance.random() < share / 2:
            inside += self._chance.choice(
                [
                    '<mj-all font-family="Arial" />',
                    '<mj-all padding="7px" color="#a00" />',
                    '<mj-all padding-left="0" />',
                ]
            )
        return "".join((*parts, f"<mj-attributes>{inside}</mj-attributes>"))

    def _default(self, name: str) -> str:
        return f"<{name}{self._joined(self._values(name, '', 0.2))} />"

    def _class(self, name: str) -> str:
        values = self._values(self._chance.choice(["mj-text", "mj-column", "mj-section", "mj-social-element"]), "", 0.2)
        if self._chance.random() < 0.3:
            values["css-class"] = f"of-{name}"
        inside = self._default(self._chance.choice(["mj-text", "mj-image"])) if self._chance.random() < 0.3 else ""
        return f'<mj-class name="{name}"{self._joined(values)}>{inside}</mj-class>'

    @staticmethod
    def _joined(values: dict[str, str]) -> str:
        return "".join(f' {key}="{escape(value) if "<" in value else value}"' for key, value in values.items())
