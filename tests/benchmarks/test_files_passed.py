"""The way of one e-mail through the product does not grow unseen."""

from tests.benchmarks.files_passed import passed

# Whoever adds a file to the way raises this; whoever merges two lowers it. On a busy machine, where each takes as long
# as what is done once a second, a few files of that are counted as well.
MOST = 90


def test_one_e_mail_passes_no_more_files_than_it_did() -> None:
    found = passed()
    assert {"api/direct.py", "intake/accept.py", "delivery/sending/dispatch.py", "channels/email_smtp.py"} <= {*found}
    assert len(found) <= MOST, found
