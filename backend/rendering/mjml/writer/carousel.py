"""Carousels: pictures of which one is shown, chosen by arrows and thumbnails without a script."""

from backend.rendering.mjml.writer.context import PRESENTATION, Context
from backend.rendering.mjml.writer.elements import Element, attributes, declarations, suffixed
from backend.rendering.mjml.writer.numbers import integer

_HIDDEN = ' style="display:none;mso-hide:all;"'
_IMAGE = declarations("border-radius display=block width* max-width=100% height=auto")
_THUMBNAIL = declarations("border<tb-border border-radius<tb-border-radius display* overflow=hidden width<tb-width")
_ARROW = declarations("display=block width<icon-width height=auto")
_WIDEST_THUMBNAIL = "110px"
_SHOWN = ' style="display:table;width:100%;table-layout:fixed;text-align:center;font-size:0px;"'
_MAIN = (
    f' style="caption-side:top;display:table-caption;table-layout:fixed;width:100%;"{PRESENTATION} width="100%"'
    ' class="mj-carousel-main"'
)


def carousel(element: Element, context: Context) -> str:
    """Write ``mj-carousel``; Outlook shows the first picture alone."""
    key = context.page.next_id()
    images = element.children(element.some(("border-radius",)))
    if images:
        context.page.own_sheet(_sheet(element, key, len(images)))
    radios = "".join(_radio(image, key) for image in images)
    controls = [_control(element, key, len(images), way) for way in ("previous", "next")]
    shown = "".join(_image(image, context) for image in images)
    main = (
        f"<table{_MAIN}><tbody><tr>{controls[0]}"
        f'<td style="padding:0px;"><div class="mj-carousel-images">{shown}</div></td>{controls[1]}'
        "</tr></tbody></table>"
    )
    first = f"<!--[if mso]>{_image(images[0], context)}<![endif]-->" if images else ""
    return (
        f'<!--[if !mso]><!--><div class="mj-carousel">{radios}'
        f'<div class="mj-carousel-content mj-carousel-{key}-content"{_SHOWN}>'
        f"{_thumbnails(element, key)}{main}</div></div><!--<![endif]-->{first}"
    )


def _radio(image: Element, key: str) -> str:
    names = f"mj-carousel-radio mj-carousel-{key}-radio mj-carousel-{key}-radio-{image.index + 1}"
    checked = ' checked="checked"' if image.index == 0 else ""
    return (
        f'<input class="{names}"{checked} type="radio" name="mj-carousel-radio-{key}" '
        f'id="mj-carousel-{key}-radio-{image.index + 1}"{_HIDDEN} />'
    )


def _thumbnails(element: Element, key: str) -> str:
    way = element.get("thumbnails")
    if way not in {"visible", "supported"}:
        return ""
    given = element.some(("tb-border", "tb-border-radius")) | {"tb-width": element.get("tb-width") or _WIDEST_THUMBNAIL}
    return "".join(_thumbnail(image, key, way) for image in element.children(given))


def _thumbnail(image: Element, key: str, way: str) -> str:
    number = image.index + 1
    display = "none" if (image.get("thumbnails") or way) == "supported" else "inline-block"
    names = f"mj-carousel-thumbnail mj-carousel-{key}-thumbnail mj-carousel-{key}-thumbnail-{number}"
    names = f"{names} {suffixed(image.get('css-class'), 'thumbnail')}".rstrip()
    link = attributes(href=f"#{number}", target=image.get("target"), class_=names)
    source = attributes(src=image.get("thumbnails-src") or image.get("src"), alt=image.get("alt"))
    return (
        f"<a{image.style(_THUMBNAIL, {'display': display})}{link}>"
        f'<label for="mj-carousel-{key}-radio-{number}">'
        f'<img style="display:block;width:100%;height:auto;"{source} width="{integer(image.get("tb-width"))}" />'
        "</label></a>"
    )


def _control(element: Element, key: str, count: int, way: str) -> str:
    icon = element.get("left-icon" if way == "previous" else "right-icon")
    image = f"<img{attributes(src=icon, alt=way, width=integer(element.get('icon-width')))}{element.style(_ARROW)} />"
    labels = "".join(
        f'<label for="mj-carousel-{key}-radio-{number}" class="mj-carousel-{way} mj-carousel-{way}-{number}">'
        f"{image}</label>"
        for number in range(1, count + 1)
    )
    return (
        f'<td class="mj-carousel-{key}-icons-cell" style="font-size:0px;display:none;mso-hide:all;padding:0px;">'
        f'<div class="mj-carousel-{way}-icons"{_HIDDEN}>{labels}</div></td>'
    )


def _image(image: Element, context: Context) -> str:
    source = attributes(**image.some(("title", "src", "alt")), width=integer(context.container), border="0")
    html = f"<img{source}{image.style(_IMAGE, {'width': context.container})} />"
    if image.true("href"):
        html = f'<a{attributes(**image.some(("href", "rel")))} target="_blank">{html}</a>'
    names = f"mj-carousel-image mj-carousel-image-{image.index + 1} {image.get('css-class') or ''}".rstrip()
    return f'<div class="{names}"{_HIDDEN if image.index else ""}>{html}</div>'


def _sheet(element: Element, key: str, count: int) -> str:
    carousel, content = f".mj-carousel-{key}", "+ .mj-carousel-content"

    def each(write: str) -> str:
        """Write a selector for each picture; ``steps`` leads from its radio button to the content."""
        return ",\n".join(
            write.format(
                number=number,
                before="+ * " * (number - 1),
                steps="+ * " * (count - number),
                next=(number - 1 + 1 % count + count) % count + 1,
                previous=(number - 1 - 1 % count + count) % count + 1,
            )
            for number in range(1, count + 1)
        )

    chosen = f"{carousel}-radio-{{number}}:checked {{steps}}{content} "
    over = f"{carousel}-thumbnail-{{number}}:hover {{steps}}+ .mj-carousel-main .mj-carousel-image-{{number}}"
    return f""".mj-carousel {{ -webkit-user-select: none; -moz-user-select: none; user-select: none; }}
{carousel}-icons-cell {{ display: table-cell !important; width: {element.get("icon-width")} !important; }}
.mj-carousel-radio, .mj-carousel-next, .mj-carousel-previous {{ display: none !important; }}
.mj-carousel-thumbnail, .mj-carousel-next, .mj-carousel-previous {{ touch-action: manipulation; }}
{each(f"{carousel}-radio:checked {{before}}{content} .mj-carousel-image")} {{ display: none !important; }}
{each(f"{chosen}.mj-carousel-image-{{number}}")} {{ display: block !important; }}
.mj-carousel-previous-icons, .mj-carousel-next-icons,
{each(f"{chosen}.mj-carousel-next-{{next}}")},
{each(f"{chosen}.mj-carousel-previous-{{previous}}")} {{ display: block !important; }}
{each(f"{chosen}{carousel}-thumbnail-{{number}}")} {{
border-color: {element.get("tb-selected-border-color")} !important; }}
{each(f"{chosen}{carousel}-thumbnail")} {{ display: inline-block !important; }}
.mj-carousel-image img + div, .mj-carousel-thumbnail img + div {{ display: none !important; }}
{each(f"{carousel}-thumbnail:hover {{steps}}+ .mj-carousel-main .mj-carousel-image")} {{ display: none !important; }}
.mj-carousel-thumbnail:hover {{ border-color: {element.get("tb-hover-border-color")} !important; }}
{each(over)} {{ display: block !important; }}
.mj-carousel noinput {{ display:block !important; }}
.mj-carousel noinput .mj-carousel-image-1 {{ display: block !important; }}
.mj-carousel noinput .mj-carousel-arrows, .mj-carousel noinput .mj-carousel-thumbnails {{ display: none !important; }}
[owa] .mj-carousel-thumbnail {{ display: none !important; }}
@media screen yahoo {{
{carousel}-icons-cell, .mj-carousel-previous-icons, .mj-carousel-next-icons {{ display: none !important; }}
{carousel}-radio-1:checked {"+ *" * (count - 1)}+ .mj-carousel-content {carousel}-thumbnail-1 {{
border-color: transparent; }}
}}"""
