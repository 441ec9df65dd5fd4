"""Language variants over HTTP: published together, checked each, shown each, and nothing new for those without."""

from typing import Any

import pytest

from tests.registry.http_client import Client, pointers

PATH = "/registry/v1/templates/X_PAY"
OWN = {
    "name": "Pay",
    "format": "text",
    "source": "Dear {{ name }}, pay {{ sum|number(2) }} until {{ day|date('long') }}",
    "subject": "Pay {{ name }}",
    "sample_fields": {"name": "Ada", "sum": 1234.5, "day": "2026-03-02"},
}
GERMAN = {"source": "{{ name }}: zahlen Sie {{ sum|number(2) }} bis {{ day|date('long') }}", "subject": "Zahlen"}
FIELDS = OWN["sample_fields"]


def put(client: Client, status: int = 200, **more: Any) -> dict[str, Any]:
    answer = client.put(PATH, json=OWN | more)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def preview(client: Client, **more: Any) -> dict[str, Any]:
    answer = client.post(f"{PATH}/preview", json={"fields": FIELDS} | more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_version_holds_all_variants(client: Client) -> None:
    made = put(client, 201, variants={"de": GERMAN})
    assert (made["language"], made["variants"]) == ("en", {"de": GERMAN | {"sample_fields": None}})
    assert client.get(PATH).json()["variants"] == made["variants"]
    assert put(client, variants={"de": GERMAN})["version"] == 1
    assert put(client, variants={"DE": GERMAN, "fr": GERMAN})["version"] == 2
    assert put(client, variants={"de": GERMAN | {"subject": "Bitte zahlen"}})["version"] == 3
    assert put(client)["version"] == 4
    versions = client.get(f"{PATH}/versions").json()["versions"]
    assert [sorted(one.get("variants", {})) for one in versions] == [[], ["de"], ["de", "fr"], ["de"]]


def test_a_template_without_them_is_answered_as_it_was(client: Client) -> None:
    assert put(client, 201).keys().isdisjoint({"language", "variants"})


def test_each_is_shown_with_the_habits_of_its_language(client: Client) -> None:
    put(client, 201, variants={"de": GERMAN})
    shown = preview(client, language="de-AT")
    assert (shown["language"], shown["subject"]) == ("de", "Zahlen")
    assert shown["text"] == "Ada: zahlen Sie 1.234,50 bis 2. März 2026"
    own = preview(client)
    assert (own["language"], own["text"]) == ("en", "Dear Ada, pay 1,234.50 until March 2, 2026")
    missing = preview(client, language="fr")
    assert (missing["language"], [one["code"] for one in missing["warnings"]]) == ("en", ["other_language"])


def test_the_own_language_of_a_template_is_not_the_services(client: Client) -> None:
    assert put(client, 201, language="de")["language"] == "de"
    assert preview(client)["text"] == "Dear Ada, pay 1.234,50 until 2. März 2026"
    assert client.put("/registry/v1/settings", json={"language": "fr"}).json()["published"] == []


def test_variants_stay_what_they_are_when_the_service_speaks_another_language(client: Client) -> None:
    put(client, 201, variants={"de": GERMAN})
    assert client.put("/registry/v1/settings", json={"language": "de"}).json()["published"] == []
    assert (preview(client)["language"], preview(client, language="en")["language"]) == ("de", "en")


def test_a_partial_is_published_into_every_variant(client: Client) -> None:
    part = {"name": "Sum", "kind": "partial", "format": "text", "source": "{{ sum|number(2) }}"}
    line = "/registry/v1/templates/X_SUM"
    client.put(line, json=part)
    put(client, 201, variants={"de": GERMAN | {"source": "Summe {% include 'X_SUM' %}"}})
    assert client.get(PATH).json()["uses"] == ["X_SUM"]
    changes = client.post(f"{line}/changes", json=part | {"source": "EUR {{ sum|number(2) }}"}).json()["changes"]
    assert [(one.get("language"), one["after"]["text"]) for one in changes if one.get("language")] == [
        ("de", "Summe EUR 1.234,50")
    ]
    client.put(line, json=part | {"source": "EUR {{ sum|number(2) }}"})
    assert preview(client, language="de")["text"] == "Summe EUR 1.234,50"
    broken = client.put(line, json=part | {"source": "{{ nothing }}"})
    assert broken.status_code == 422
    assert "X_PAY" in broken.json()["detail"]
    assert client.delete(line).json()["code"] == "in_use"


@pytest.mark.parametrize(
    ("more", "pointer", "sentence"),
    [
        ({"language": "xx"}, "/language", "There is no language 'xx'. Write its tag as in en, en-GB or de-CH."),
        ({"variants": {"tlh": GERMAN}}, "/variants", "There is no language 'tlh'."),
        ({"variants": {"de": GERMAN, "DE": GERMAN}}, "/variants", "There are two variants in de: keep one of them."),
        ({"variants": {"de": {"subject": "S"}}}, "/variants/de/source", "The member 'source' is missing."),
        ({"variants": {"de": GERMAN | {"to": 1}}}, "/variants/de/to", "The member 'to' is not known here."),
        ({"variants": {"en": GERMAN}}, "/variants/en", "The template's own text is in en already"),
        ({"variants": {"de": {"source": "{% if"}}}, "/variants/de/source", "In German (de): Line 1:"),
        ({"kind": "partial", "subject": None, "variants": {"de": GERMAN}}, "/variants", "has no variants"),
    ],
)
def test_what_cannot_work_is_said_with_its_place(
    client: Client, more: dict[str, Any], pointer: str, sentence: str
) -> None:
    answer = client.put(PATH, json=OWN | more)
    assert answer.status_code in {400, 422}, answer.text
    assert list(pointers(answer.json())) == [pointer]
    assert sentence in answer.json()["errors"][0]["detail"]


def test_a_field_that_a_variant_forgets_is_told(client: Client) -> None:
    made = put(client, 201, variants={"de": {"source": "Zahlen Sie {{ sum }}"}})
    told = [one["detail"] for one in made["warnings"] if one["code"] == "variant_fields"]
    assert told == ["In German (de): It does not use day, name, which the template's own text does."]
    assert told[0] in [one["detail"] for one in client.get(PATH).json()["warnings"]]


def test_each_has_sample_fields_of_its_own(client: Client) -> None:
    german = {"source": "Zahlen Sie {{ summe }}", "sample_fields": {"summe": 1}}
    made = put(client, 201, variants={"de": german})
    assert made["variants"]["de"]["sample_fields"] == {"summe": 1}
    assert {"name": "Example", "fields": {"summe": 1}, "language": "de"} in made["samples"]


def test_a_change_of_many_brings_variants_and_samples(client: Client) -> None:
    german = {"source": "{{ name }}: {{ summe }}", "subject": "Zahlen"}
    samples = [
        {"name": "Ada", "fields": FIELDS},
        {"name": "Ada", "fields": {"name": "Ada", "summe": 3}, "language": "de"},
    ]
    own = {name: value for name, value in OWN.items() if name != "sample_fields"}
    change = {"templates": [own | {"identifier": "X_PAY", "variants": {"de": german}, "samples": samples}]}
    first = client.post("/registry/v1/changes", json=change)
    assert first.status_code == 200, first.text
    assert client.get(PATH).json()["samples"] == samples
    assert client.get(PATH).json()["variants"]["de"]["sample_fields"] == {"name": "Ada", "summe": 3}
    again = client.post("/registry/v1/changes?dry_run", json=change).json()
    assert [one["change"] for one in again["templates"]] == ["same"]
    samples[1]["fields"] = {"name": "Ada"}
    broken = client.post("/registry/v1/changes", json=change)
    assert (broken.status_code, "(Sample Ada.)" in broken.text) == (422, True)


def test_a_recipient_has_a_language(client: Client) -> None:
    path, body = "/registry/v1/recipients/X_LAB", {"name": "Lab", "endpoints": []}
    assert "language" not in client.put(path, json=body).json()
    assert client.put(path, json=body | {"language": "de-ch"}).json()["language"] == "de-CH"
    assert client.get(path).json()["language"] == "de-CH"
    refused = client.put(path, json=body | {"language": "German"})
    assert list(pointers(refused.json())) == ["/language"]
    assert "language" not in client.put(path, json=body).json()
