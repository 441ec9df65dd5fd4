"""The files in a notification: decoded, checked, and named by what they hold."""

import hashlib
import re
import unicodedata
from binascii import Error, a2b_base64
from collections.abc import Iterator, Mapping

import msgspec

from backend.channels.attachments import MAX_BYTES, AttachedFile, LinkedFile
from backend.channels.records import CARRYING_FILES
from backend.intake import file_types, link_terms
from backend.intake.schema import AttachmentIn, LinkIn, NotificationIn
from backend.lib import settings
from backend.lib.problems import FieldError, Problem
from backend.lib.shapes import MAX_ERRORS

_CODE = "invalid_attachment"
_LONGEST_NAME = 200  # octets, since file systems take 255 and programs add to them
# Where cid:NAME stands in HTML no character may need an escape (RFC 2392, section 2).
_INLINE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")


class Attached(msgspec.Struct, frozen=True):
    """The files of a notification: what each channel (by its index) names, and the octets of all by SHA-256.

    Those of ``channels`` go along with the messages, and to those that are ``linked`` a message has the address.
    """

    channels: Mapping[int, list[AttachedFile]] = {}
    files: Mapping[str, bytes] = {}
    linked: Mapping[int, list[LinkedFile]] = {}

    def size(self, index: int) -> int:
        """Return how many octets the files have that go along with a channel's messages."""
        return sum(one.size for one in self.channels.get(index, ()))


NOTHING = Attached()


def read(notification: NotificationIn) -> Attached:
    """Decode and check all files of a notification.

    Raises:
        Problem: ``too_large`` if they have more than they may, ``invalid_attachment`` with every other fault.
    """
    if not any(channel.attachments for channel in notification.channels):
        return NOTHING
    errors: list[FieldError] = []
    channels: dict[int, list[AttachedFile]] = {}
    linked: dict[int, list[LinkedFile]] = {}
    files: dict[str, bytes] = {}
    for index, channel in enumerate(notification.channels):
        pointer = f"{notification.pointer(index)}/attachments"
        if channel.attachments and channel.type not in CARRYING_FILES:
            detail = f"Messages of the channel {channel.type} carry no files; EMAIL and FRESHSERVICE do."
            errors.append(FieldError(pointer, _CODE, detail))
            continue
        names: set[str] = set()
        for position, given in enumerate(channel.attachments):
            content = _decoded(given)
            faults = list(_faults(f"{pointer}/{position}", given, content, names))
            names.add(given.name.casefold())
            if faults or content is None:
                errors += faults
                continue
            digest = hashlib.sha256(content).hexdigest()
            files[digest] = content
            if given.link is None:
                channels.setdefault(index, []).append(_attached(given, len(content), digest))
            else:
                linked.setdefault(index, []).append(_linked(given, given.link, len(content), digest))
    _check_sizes(channels, linked)
    if errors:
        raise _refusal(errors)
    return Attached(channels, files, linked)


def _attached(given: AttachmentIn, size: int, digest: str) -> AttachedFile:
    return AttachedFile(name=given.name, type=given.type.lower(), size=size, sha256=digest, inline=given.inline)


def _linked(given: AttachmentIn, link: LinkIn, size: int, digest: str) -> LinkedFile:
    return LinkedFile(
        name=given.name,
        type=given.type.lower(),
        size=size,
        sha256=digest,
        expires_after=link_terms.seconds(link),
        confirm_address=link.confirm_address,
    )


def _check_sizes(channels: Mapping[int, list[AttachedFile]], linked: Mapping[int, list[LinkedFile]]) -> None:
    """See that the files are no larger than they may be, those that go along and those that go as links.

    Raises:
        Problem: ``too_large``.
    """
    total = sum(one.size for named in channels.values() for one in named)
    if total > MAX_BYTES:
        raise _too_large("attachments", total, MAX_BYTES, ' Send what is larger as a link: give it a member "link".')
    as_links, most = sum(one.size for named in linked.values() for one in named), settings.current().linked_bytes
    if as_links > most:
        raise _too_large("files that go as links", as_links, most, "")


def _too_large(what: str, total: int, most: int, remedy: str) -> Problem:
    detail = (
        f"The {what} have {total:,} bytes together, and those of one notification may have {most:,}"
        f" ({most // 1024 // 1024} MiB).{remedy}"
    )
    return Problem("too_large", detail, errors=[FieldError("/channels", "too_large", detail)])


def _refusal(errors: list[FieldError]) -> Problem:
    more = "" if len(errors) == 1 else f" There are {len(errors)} faults in all."
    detail = f"Nothing was sent: at {errors[0].pointer}: {errors[0].detail}{more}"
    return Problem(_CODE, detail, errors=errors[:MAX_ERRORS])


def _decoded(given: AttachmentIn) -> bytes | None:
    try:
        return a2b_base64(given.content.encode("ascii"), strict_mode=True)
    except (Error, UnicodeEncodeError):
        return None


def _faults(pointer: str, given: AttachmentIn, content: bytes | None, names: set[str]) -> Iterator[FieldError]:
    """Find what is wrong with one file; of what concerns its content the first fault alone."""
    if fault := _name_fault(given, names):
        yield FieldError(f"{pointer}/name", _CODE, fault)
    if given.link is not None and (of_link := _link_fault(given, given.link)):
        yield FieldError(f"{pointer}/{of_link[0]}", _CODE, of_link[1])
    media_type = given.type.lower()
    of_type = file_types.type_fault(media_type)
    if of_type is None and given.inline and not media_type.startswith("image/"):
        of_type = f"Only images can be inline, and {media_type} is none."
    if of_type:
        yield FieldError(f"{pointer}/type", _CODE, of_type)
    elif content is None:
        detail = "The content is not base64 (RFC 4648, section 4) without line breaks and with its padding."
        yield FieldError(f"{pointer}/content", _CODE, detail)
    elif not content:
        yield FieldError(f"{pointer}/content", _CODE, "The file is empty.")
    elif dangerous := file_types.danger(given.name, media_type, content):
        yield FieldError(pointer, _CODE, dangerous)
    elif untrue := file_types.disagreement(given.name, media_type, content):
        yield FieldError(pointer, _CODE, untrue)


def _link_fault(given: AttachmentIn, link: LinkIn) -> tuple[str, str] | None:
    """Return the member that is wrong, and why."""
    if given.inline:
        return "link", "What the message shows inline goes along with it: it cannot be a link too."
    try:
        link_terms.seconds(link)
    except ValueError as fault:
        return "link/expires_after", str(fault)
    return None


def _name_fault(given: AttachmentIn, names: set[str]) -> str | None:
    if fault := _unusable_name(given.name):
        return fault
    if given.name.casefold() in names:
        return f"Another attachment of this channel is called {given.name} too."
    if given.inline and not _INLINE_NAME.fullmatch(given.name):
        return "The name of an inline image stands in cid:NAME: ASCII letters, digits, dots, dashes and underscores."
    return None


def _unusable_name(name: str) -> str | None:
    if len(name.encode()) > _LONGEST_NAME:
        return f"A name has at most {_LONGEST_NAME} bytes in UTF-8."
    # Control and format characters, among them those that turn the direction of writing and so hide an extension.
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in name):
        return "A name holds no control characters, line breaks or invisible characters."
    if "/" in name or "\\" in name:
        return "A name is one file's, without a path: it holds neither / nor \\."
    if name != name.strip() or name.endswith(".") or name.startswith("."):
        return "A name neither begins nor ends with a dot or a space."
    return None
