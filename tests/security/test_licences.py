"""Every package that an installation brings declares a licence, and none that would bind those who run it."""

import pytest

from tests.security import licences


def test_every_package_declares_a_licence_that_may_be_used() -> None:
    found = licences.installed()
    assert len(found) > 50
    assert {name for name, licence in found.items() if not licence} == set()
    assert {name: licence for name, licence in found.items() if licences.forbidden(licence)} == {}


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("MIT", False),
        ("LGPL-3.0-only", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("GPL-2.0-only OR MIT", False),
        ("AGPL-3.0-only", True),
        ("GPL-3.0-or-later", True),
        ("Business Source License 1.1", True),
    ],
)
def test_licences_are_told_apart(licence: str, refused: bool) -> None:
    assert licences.forbidden(licence) is refused
