"""What is written of a mailbox is read again as it was, and is what a header can carry."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.channels.mime import sender_field
from backend.lib.mailboxes import mailbox, written

NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=60).map(str.strip)


@given(NAMES)
@example('Lab, "PSD" <main>')
@example("back\\slash")
@example('"quoted"')
@example("a@b.example")
@example("(comment)")
@example("Labör")
def test_a_name_is_read_as_it_was_written(name: str) -> None:
    sender = written(name, "a@b.example")
    assert mailbox(sender) == (name, "a@b.example")
    assert sender_field(sender)[0].isascii()


@pytest.mark.parametrize("sender", ["", " ", "Lab", "Lab <a@b.example", "a@b@c.example", "a@b.example, c@d.example"])
def test_what_is_no_mailbox_is_refused(sender: str) -> None:
    with pytest.raises(ValueError, match=r"the (sender|address)"):
        mailbox(sender)
