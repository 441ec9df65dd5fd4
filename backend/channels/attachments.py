"""Files that go with a message: as a notification names them, as links, and whole, as a provider gets them."""

import msgspec

# Of all files that one message, and one notification, carries, as they are: not in base64, which is a third more.
MAX_BYTES = 10 * 1024 * 1024


# What a line takes at least: a quarter of a MiB a second, two megabits.
_BYTES_A_SECOND = 256 * 1024


def more_seconds(size: int) -> float:
    """Return for how much longer than others an exchange may last that carries so many octets."""
    return size / _BYTES_A_SECOND if size > _BYTES_A_SECOND else 0.0


class AttachedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a notification's content says of a file; its octets lie apart, found by the SHA-256 (in hexadecimal).

    ``size`` is in octets. ``inline`` tells that the message's HTML shows it, as ``cid:NAME``.
    """

    name: str
    type: str
    size: int
    sha256: str
    inline: bool = False


class LinkedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a notification's content says of a file that goes as a link, and that its message does not carry.

    ``size`` is in octets, ``expires_after`` in seconds from when the notification was accepted. With
    ``confirm_address`` the file is only for who names an address that the message went to.
    """

    name: str
    type: str
    size: int
    sha256: str
    expires_after: int
    confirm_address: bool


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a message; ``type`` is a media type without parameters."""

    name: str
    type: str
    content: bytes
    inline: bool = False

    def __repr__(self) -> str:
        """Leave the content out, which belongs to its readers."""
        return f"Attachment(type={self.type!r}, size={len(self.content)})"
