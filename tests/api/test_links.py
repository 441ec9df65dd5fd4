"""Links that lead nowhere are told by publishing, previewing and explaining, each with its line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.lib import settings
from tests.api.conftest import Site

PATH = "/registry/v1/templates/X_LINKS"
SOURCE = '<p>{{ where }}</p>\n<a href="{{ where }}/x">Here</a>\n<a href="https://bit.ly/x">There</a>'


def told(found: Any) -> list[tuple[int, str]]:
    return [(one["line"], one["code"]) for one in found if one["code"] != "unknown_field"]


def test_links_are_validated_wherever_a_template_is_looked_at(
    site: Site, configure: Callable[..., settings.Settings], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[hosts]]\nhost = "bit.ly"\nreason = "the filter takes it out"\n')
    configure(LINK_RULES=str(rules))
    body = {"name": "Links", "format": "html", "source": SOURCE, "sample_fields": {"where": "lab.example"}}
    both = [(2, "link_without_scheme"), (3, "forbidden_host")]
    stored = site.http.put(PATH, json=body)
    assert (stored.status_code, told(stored.json()["warnings"])) == (201, both)
    assert "bit.ly is not to be linked to here: the filter takes it out." in stored.text
    preview = site.post(f"{PATH}/preview", {"fields": {"where": "https://lab.example"}}).json()
    assert told(preview["warnings"]) == both
    channel = {"type": "EMAIL", "recipient": ["X_LAB"], "subject": "S", "template_id": "X_LINKS"}
    for fields, wanted in (({"where": "https://lab.example"}, both[1:]), ({"where": "lab.example"}, both)):
        explained = site.explain({"channels": [channel | {"fields": fields}]}).json()
        assert told(explained["channels"][0]["warnings"]) == wanted, explained
