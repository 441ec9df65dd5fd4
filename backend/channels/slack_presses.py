"""Buttons under a post in Slack: how one is made, and what Slack tells of a press, verified.

https://docs.slack.dev/authentication/verifying-requests-from-slack,
https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
"""

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qs

import msgspec

from backend.channels.base import ForgedReceipt, OfferedLink, ReceiptRequest
from backend.channels.slack_blocks import escaped
from backend.lib import clock

ACTION = "carillon_acknowledge"
_TOLERANCE = 300  # seconds that a signature's time may differ from ours, which Slack itself recommends
_LONGEST_NAME = 100


class _User(msgspec.Struct):
    id: str
    username: str = ""
    name: str = ""


class _Action(msgspec.Struct):
    action_id: str = ""
    value: str = ""


class _Container(msgspec.Struct):
    channel_id: str = ""
    message_ts: str = ""


class _Post(msgspec.Struct):
    text: str = ""
    blocks: list[dict[str, Any]] = []


class _Payload(msgspec.Struct):
    type: str
    user: _User | None = None
    actions: list[_Action] = []
    container: _Container = msgspec.field(default_factory=_Container)
    message: _Post = msgspec.field(default_factory=_Post)


class Press(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody pressed the button that acknowledges: ``token`` is its link's.

    ``post`` is the post as ``channel+ts``, which shows ``text`` and ``blocks``.
    """

    token: str
    user_id: str
    user_name: str
    post: str
    text: str
    blocks: list[dict[str, Any]]

    @property
    def by(self) -> str:
        """Name who pressed it, as their workspace knows them."""
        return f"{self.user_name} (Slack {self.user_id})" if self.user_name else f"Slack {self.user_id}"


def button(offered: OfferedLink) -> dict[str, Any]:
    """Return the block with the button by which a message is acknowledged."""
    words = {"type": "plain_text", "text": offered.words}
    made = {"type": "button", "action_id": ACTION, "text": words, "style": "primary", "value": offered.token}
    return {"type": "actions", "block_id": ACTION, "elements": [made]}


def answered(press: Press, sentence: str) -> list[dict[str, Any]]:
    """Return the blocks of the post with a sentence in place of its button."""
    kept = [block for block in press.blocks if block.get("block_id") != ACTION]
    return [*kept, line(sentence)]


def line(sentence: str) -> dict[str, Any]:
    """Return the block that stands in place of the button once somebody has answered."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": f"✓ {escaped(sentence)}"}]}


def verify(request: ReceiptRequest, secret: str) -> None:
    """See that a request was signed by Slack with the app's signing secret, a moment ago; raise ``ForgedReceipt``."""
    stamp, given = request.headers.get("x-slack-request-timestamp", ""), request.headers.get("x-slack-signature", "")
    if not stamp.isdecimal() or abs(clock.now().timestamp() - int(stamp[:15])) > _TOLERANCE:
        raise ForgedReceipt("it was signed more than five minutes ago or ahead of our clock")
    base = b"v0:" + stamp.encode() + b":" + request.body
    expected = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise ForgedReceipt("the signature is missing or wrong")


def read(request: ReceiptRequest) -> Press | None:
    """Read a verified request; none for what is not about our button. Raises ``ValueError`` for what cannot be read."""
    form = parse_qs(request.body.decode(), max_num_fields=10)
    read = msgspec.json.decode(form.get("payload", [""])[0], type=_Payload)
    pressed = [one for one in read.actions if one.action_id == ACTION]
    if read.type != "block_actions" or read.user is None or not pressed:
        return None
    name = " ".join((read.user.name or read.user.username).split())[:_LONGEST_NAME]
    return Press(
        token=pressed[0].value,
        user_id=read.user.id[:_LONGEST_NAME],
        user_name=name if name.isprintable() else "",
        post=f"{read.container.channel_id}+{read.container.message_ts}",
        text=read.message.text,
        blocks=read.message.blocks,
    )
