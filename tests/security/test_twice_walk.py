"""Every form of the portal that comes twice does its thing once."""

from tests.security.addresses import UNSAFE, addresses
from tests.security.audit_exceptions import OTHERWISE
from tests.security.test_audit_walk import Example, Register, examples, register
from tests.security.two_services import Books

__all__ = ["register"]


def test_every_form_that_comes_twice_does_its_thing_once(register: Register) -> None:
    known, twice = examples(register), {}
    portal = [one for one in addresses("/portal") if one.method in UNSAFE and str(one) not in OTHERWISE]
    for one in portal:
        register.put_back()
        example = known.get(str(one), Example())
        example = example._replace(form={"once": "a mark of its page", **example.form})
        first = register.change(one, example)
        books = Books(register.database)
        before = books.state()
        second = register.change(one, example._replace(before=""), first.request.url.path)
        changed = books.changed_since(before)
        # A link that works once says so when it is asked again.
        if first.status_code >= 400 or second.status_code not in {200, 303, 410} or changed:
            twice[str(one)] = (first.status_code, second.status_code, changed)
    assert not twice, "\n".join(map(str, twice.items()))
    assert len(portal) >= 80
