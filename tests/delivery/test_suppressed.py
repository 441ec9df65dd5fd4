"""A suppressed address gets nothing from the service that suppressed it, and the delivery says so."""

from backend.channels.base import Channel
from backend.registry import suppressions
from tests.delivery.conftest import Post


def test_a_delivery_to_a_suppressed_address_fails_with_a_sentence_and_is_not_sent(post: Post) -> None:
    post.lab.recipient("X_TWO", ("EMAIL", "gone@lab.example"), ("EMAIL", "here@lab.example"))
    with post.lab.database.transaction() as session:
        suppressions.suppress(session, post.lab.service_id, Channel.EMAIL, "gone@lab.example", reason="bounced")
    identity = post.accept(recipient=["X_TWO"])
    post.send()
    found = {one.address: one for one in post.deliveries(identity)}
    assert (found["gone@lab.example"].status, found["here@lab.example"].status) == ("FAILED", "SENT")
    assert found["gone@lab.example"].error == suppressions.sentence("gone@lab.example")
    assert post.report(identity).status == "PARTIAL"
    assert [one.envelope_to for one in post.server.messages] == ["here@lab.example"]


def test_a_freed_address_is_sent_to_again(post: Post) -> None:
    with post.lab.database.transaction() as session:
        suppressions.suppress(session, post.lab.service_id, Channel.EMAIL, "lab@lab.example", reason="complained")
        suppressions.free(session, post.lab.service_id, "EMAIL", "lab@lab.example")
    identity = post.accept()
    post.send()
    assert post.report(identity).status == "SENT"
