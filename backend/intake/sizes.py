"""How much one group stores, so that nobody waits long for what others store."""

from collections.abc import Sequence

from backend.intake.content import Content
from backend.intake.entries import Entry
from backend.intake.validate import Registered, endpoints

# Rows of one transaction: some thirty milliseconds of work.
_ROWS = 1_000
# To join a batch takes as long as to store so many deliveries.
_ROWS_OF_A_MEMBERSHIP = 20
# To store so many octets of files takes as long as to store a delivery.
_BYTES_OF_A_ROW = 4096


class Portion:
    """What one group stores: small notifications up to a number of rows, and one large one.

    A large one does not make a group wait that has something urgent, unless it has waited itself.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._left = _ROWS
        self._has_large = False
        self._urgent = any(entry.share.urgent for entry in entries)

    def takes(self, entry: Entry, content: Content, registered: Registered) -> bool:
        """Tell whether a notification may be stored in this group, before it is validated."""
        rows = _rows(content, registered) + sum(map(len, content.attached.files.values())) // _BYTES_OF_A_ROW
        if rows > _ROWS:
            if self._has_large or (self._urgent and not entry.share.urgent and entry.rounds == 1):
                return False
            self._has_large = True
            return True
        self._left -= rows
        return self._left >= 0


def _rows(content: Content, registered: Registered) -> int:
    notification = content.notification
    if notification is None:
        return 1
    if notification.priority == "BATCH":
        return sum(len(channel.recipient) for channel in notification.channels) * _ROWS_OF_A_MEMBERSHIP
    return max(1, endpoints(notification, registered)) if registered.whole else _ROWS + 1
