"""A status, and a channel, is known wherever it has to be: what is forgotten is named in a sentence."""

from typing import get_args

from backend.alpha import shapes
from backend.callbacks import emit
from backend.channels.base import Channel, ChannelName
from backend.db.models.notifications import FINAL, DeliveryStatus, NotificationStatus, StatusName
from backend.monitoring import ledger
from backend.portal import chart, templates
from tests.rules import source

_MESSAGE: set[str] = {one.value for one in DeliveryStatus}
_WHOLE: set[str] = {one.value for one in NotificationStatus}
# In a new status's way through the code: a list, and which statuses it has of those that it has to have.
_LISTS: dict[str, tuple[set[str], set[str]]] = {
    "StatusName in backend/db/models/notifications.py": (set(get_args(StatusName)), _WHOLE),
    "OF_DELIVERY in backend/monitoring/ledger.py": ({one.value for one in ledger.OF_DELIVERY}, _MESSAGE),
    "TYPES in backend/callbacks/emit.py": (set(emit.TYPES), {one.value for one in FINAL}),
    # What has failed has one of several words there.
    "STATUSES in backend/alpha/shapes.py": ({one.value for one in shapes.STATUSES} | {"FAILED"}, _MESSAGE),
    "STATUSES in backend/portal/templates.py": (set(templates.STATUSES), _MESSAGE | _WHOLE),
    "STATUSES in backend/portal/chart.py": (set(chart.STATUSES), _WHOLE),
}
_PAGES = {
    "static/styles/home.css": (".series-{lower}", _WHOLE),
    "portal_templates/guide/index.html": ('<dt>{{{{ status_pill("{status}") }}}}</dt>', _WHOLE),
    "backend/docs/architecture.md": ("`{status}`", _MESSAGE | _WHOLE),
}


def test_every_status_is_known_wherever_it_has_to_be() -> None:
    forgotten = [
        f"{one} does not know {', '.join(sorted(wanted - known))}"
        for one, (known, wanted) in _LISTS.items()
        if wanted - known
    ]
    for name, (form, wanted) in _PAGES.items():
        page = (source.ROOT / name).read_text(encoding="utf-8")
        texts = {status: form.format(status=status, lower=status.lower()) for status in wanted}
        forgotten += [f"{name} has no {one}" for _, one in sorted(texts.items()) if one not in page]
    assert not forgotten, "Extending (backend/docs/extending.md, A status) has the order:\n" + "\n".join(forgotten)


def test_a_status_fits_its_column() -> None:
    long = [one.value for one in (*DeliveryStatus, *NotificationStatus) if len(one) > 12]
    assert not long, f"{', '.join(long)}: the columns `status` of deliveries and notifications hold 12 characters."


def test_the_words_that_requests_may_say_are_those_of_the_lists() -> None:
    assert get_args(ChannelName) == tuple(Channel), "ChannelName stands below Channel in backend/channels/base.py."
