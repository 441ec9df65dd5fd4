"""The address forms of each channel, by table and by invention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.channels.addresses import normalise
from backend.channels.base import Channel
from backend.lib.problems import Problem

EMAIL, SLACK, TEAMS, SMS, TICKET = (
    Channel.EMAIL,
    Channel.SLACK,
    Channel.MSTEAMS,
    Channel.SMS,
    Channel.FRESHSERVICE,
)
HOOK = "https://hooks.slack.com/services/T000/B000/secretXXXX"
FLOW = "https://prod-1.westeurope.logic.azure.com/workflows/a1/triggers/manual/paths/invoke?api-version=1&sig=s3cr3t"
LONG_LOCAL = "a" * 65


@pytest.mark.parametrize(
    ("channel", "address", "canonical"),
    [
        (EMAIL, "alerts@lab.example", "alerts@lab.example"),
        (EMAIL, "  x@PSD.Sanger.ac.uk\t", "x@psd.sanger.ac.uk"),
        (EMAIL, "Keeps.Case+tag@Mail.TEST", "Keeps.Case+tag@mail.test"),
        (EMAIL, "a@host.internal", "a@host.internal"),
        (EMAIL, "a@printer.local", "a@printer.local"),
        (EMAIL, "o'neill@x.example", "o'neill@x.example"),
        (EMAIL, "a@bücher.example", "a@xn--bcher-kva.example"),
        (EMAIL, "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        (SLACK, "#Lab-alerts_2", "#lab-alerts_2"),
        (SLACK, "#größe", "#größe"),
        (SLACK, "C0123456789", "C0123456789"),
        (SLACK, "G0123456789", "G0123456789"),
        (SLACK, HOOK, HOOK),
        (SLACK, HOOK.replace("hooks.slack.com", "HOOKS.slack.com:443"), HOOK),
        (TEAMS, FLOW, FLOW),
        (TEAMS, FLOW.replace("azure.com", "azure.com:443"), FLOW),
        (
            TEAMS,
            "https://x.environment.api.powerplatform.com/powerautomate/w?sig=1",
            "https://x.environment.api.powerplatform.com/powerautomate/w?sig=1",
        ),
        (SMS, "+447700900123", "+447700900123"),
        (SMS, "+44 7700-900.123", "+447700900123"),
        (TICKET, "alerts@lab.example", "alerts@lab.example"),
        (TICKET, "a@LAB.example; priority=2; group_id=42", "a@lab.example;group_id=42;priority=2"),
        (
            TICKET,
            "a@lab.example;thread=ON;category=Lab Robots;workspace_id=3;type=incident;status=5",
            "a@lab.example;status=5;type=Incident;workspace_id=3;category=Lab Robots;thread=on",
        ),
    ],
)
def test_an_address_gets_its_canonical_form_and_keeps_it(channel: Channel, address: str, canonical: str) -> None:
    assert normalise(channel, address) == canonical
    assert normalise(channel, canonical) == canonical


@pytest.mark.parametrize(
    ("channel", "address", "said"),
    [
        (EMAIL, "", "name@domain"),
        (EMAIL, "bob", "name@domain"),
        (EMAIL, "@lab.example", "name@domain"),
        (EMAIL, "bob@", "name@domain"),
        (EMAIL, "ops@localhost", "with a dot"),
        (EMAIL, "ops@intranet", "with a dot"),
        (EMAIL, "ops@test", "with a dot"),
        (EMAIL, "Bob <bob@lab.example>", "display name"),
        (EMAIL, "a@lab.example, b@lab.example", "endpoint of its own"),
        (EMAIL, "a@lab.example;b@lab.example", "endpoint of its own"),
        (EMAIL, "a@b@lab.example", "endpoint of its own"),
        (EMAIL, "a@lab.example\r\nBcc: x@y.example", "line break"),
        (EMAIL, "a\0@lab.example", "line break"),
        (EMAIL, "jörg@lab.example", "ASCII"),
        (EMAIL, "a b@lab.example", "@-sign"),
        (EMAIL, "a..b@lab.example", "two periods"),
        (EMAIL, '"a b"@lab.example', "quot"),
        (EMAIL, "a@[127.0.0.1]", "address"),
        (EMAIL, "a@never.invalid", "special-use"),
        (EMAIL, f"{LONG_LOCAL}@lab.example", "long"),
        (EMAIL, "a@lab_1.example", "@-sign"),
        (SLACK, "lab", "#channel"),
        (SLACK, "#", "#channel"),
        (SLACK, "#two words", "#channel"),
        (SLACK, "#" + "a" * 81, "#channel"),
        (SLACK, "c0123456789", "#channel"),
        (SLACK, "U0123456789", "#channel"),
        (SLACK, HOOK.replace("https", "http"), "https on port 443"),
        (SLACK, "https://hooks.slack.com/", "hooks.slack.com/services"),
        (SLACK, "https://hooks.slack.com.evil.example/services/T0/B0/x", "hooks.slack.com"),
        (SLACK, "https://hooks.slack.com@evil.example/services/T0/B0/x", "user names"),
        (SLACK, "https://hooks.slack.com\\@evil.example/services/T0/B0/x", "#channel"),
        (SLACK, "https://hooks.slack.com/services/../B0/x", "#channel"),
        (TEAMS, "https://logic.azure.com/workflows/1", "Workflows"),
        (TEAMS, "https://evil-logic.azure.com.example/w", "Workflows"),
        (TEAMS, FLOW.replace("https", "http"), "https on port 443"),
        (TEAMS, FLOW.replace("azure.com", "azure.com:8443"), "https on port 443"),
        (TEAMS, FLOW.replace("https://", "https://u:p@"), "user names"),
        (TEAMS, FLOW + "#part", "fragments"),
        (TEAMS, "https://x.logic.azure.com:99999/w", "Workflows"),
        (TEAMS, "https://x.logic.azure.com", "whole URL"),
        (TEAMS, "https://169.254.169.254/latest", "Workflows"),
        (TEAMS, "https://[::1/latest", "Workflows"),
        (SMS, "07700900123", "E.164"),
        (SMS, "+0447700900123", "E.164"),
        (SMS, "+44 (0)7700 900123", "E.164"),
        (SMS, "+4477009001234567", "E.164"),
        (SMS, "+४४7700900123", "E.164"),
        (TICKET, "group_id=42", "name@domain"),
        (TICKET, "a@lab.example;colour=red", "group_id"),
        (TICKET, "a@lab.example;", "options"),
        (TICKET, "a@lab.example;priority=5", "1 (low) to 4"),
        (TICKET, "a@lab.example;status=1", "2 (open) to 5"),
        (TICKET, "a@lab.example;group_id=0", "whole number"),
        (TICKET, "a@lab.example;group_id=four", "whole number"),
        (TICKET, "a@lab.example;type=Change", "Incident"),
        (TICKET, "a@lab.example;thread=maybe", "on or off"),
        (TICKET, "a@lab.example;priority=1;priority=2", "twice"),
    ],
)
def test_a_wrong_address_is_refused_with_a_sentence(channel: Channel, address: str, said: str) -> None:
    with pytest.raises(Problem) as caught:
        normalise(channel, address)
    assert caught.value.code == "invalid_address"
    assert said in caught.value.detail
    assert caught.value.detail.endswith(".")


@pytest.mark.parametrize("channel", [SLACK, TEAMS])
def test_another_host_is_reached_only_if_the_allow_list_names_it(channel: Channel) -> None:
    url = "http://127.0.0.1:9099/hook"
    with pytest.raises(Problem):
        normalise(channel, url)
    with pytest.raises(Problem):
        normalise(channel, url, ["127.0.0.1:9098", "127.0.0.1"])
    assert normalise(channel, url, ["127.0.0.1:9099"]) == url
    assert normalise(channel, "http://[::1]:9099/hook", ["[::1]:9099"]) == "http://[::1]:9099/hook"
    with pytest.raises(Problem):
        normalise(channel, "http://u:p@127.0.0.1:9099/hook", ["127.0.0.1:9099"])


def test_a_refused_secret_url_is_not_repeated() -> None:
    with pytest.raises(Problem) as caught:
        normalise(SLACK, "https://hooks.slack.example/services/T0/B0/topsecret")
    assert "topsecret" not in caught.value.detail


@given(st.sampled_from(list(Channel)), st.text(max_size=60) | st.from_regex(r"[a-z.]+@[a-z.]+;[a-z_]+=\w"))
def test_any_text_is_canonical_or_refused(channel: Channel, address: str) -> None:
    try:
        canonical = normalise(channel, address)
    except Problem as fault:
        assert fault.code == "invalid_address"  # noqa: PT017 - most texts are refused, some are not
        return
    assert normalise(channel, canonical) == canonical
    assert not any(c in canonical for c in "\r\n\0")
