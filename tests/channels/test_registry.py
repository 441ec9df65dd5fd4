"""From the settings' provider addresses to providers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.channels.base import Channel
from backend.channels.provider_address import parse
from backend.channels.registry import providers_for

TOPIC = "arn:aws:sns:eu-west-1:123456789012:carillon"
HTTP_OPTIONS = frozenset({"scheme"})


@pytest.mark.parametrize(
    ("address", "name", "described"),
    [
        ("smtp://mail.example", "smtp://mail.example:25", "without TLS"),
        ("SMTP://Mail.Example:2525/", "smtp://mail.example:2525", "without TLS"),
        ("smtp://u:p@mail.example:587", "smtp://@mail.example:587", "with STARTTLS, signed in"),
        ("smtp://u:p@mail.example:465", "smtp://@mail.example:465", "with TLS, signed in"),
        ("smtp://u:p@mail.example?tls=tls", "smtp://@mail.example:465", "with TLS, signed in"),
        ("smtp://u:p@mail.example?tls=starttls", "smtp://@mail.example:587", "with STARTTLS"),
        ("smtp://mail.example:587?tls=none", "smtp://mail.example:587", "without TLS, not signed in"),
        ("smtp://u:p@127.0.0.1:1025", "smtp://@127.0.0.1:1025", "without TLS, signed in"),
        ("smtp://u:p@localhost:1025", "smtp://@localhost:1025", "without TLS, signed in"),
        ("smtp://u%40x:p%2F%3A@[::1]:1025", "smtp://@[::1]:1025", "without TLS, signed in"),
    ],
)
def test_an_address_becomes_a_provider(address: str, name: str, described: str) -> None:
    (provider,) = providers_for(Channel.EMAIL, [address])
    assert re.sub("[0-9a-f]{6}@", "@", provider.name) == name
    assert described in provider.describe()


def test_two_accounts_on_one_server_have_two_names_which_stay_the_same() -> None:
    accounts = [f"smtp://{who}@mail.example:587" for who in ("apikey:one", "apikey:two", "ann:one")]
    names = [provider.name for provider in providers_for(Channel.EMAIL, accounts)]
    assert len(set(names)) == 3
    assert names == [provider.name for provider in providers_for(Channel.EMAIL, accounts)]


def test_a_name_is_short_whatever_the_host_is_called() -> None:
    long = ["a" * 40 + middle + "b" * 40 for middle in "xy"] + ["c." * 90 + "c"]
    hosts = [f"smtp://u:p@{host}.example:587" for host in long]
    names = [provider.name for provider in providers_for(Channel.EMAIL, hosts)]
    assert len(set(names)) == 3
    assert all(len(name) <= 64 for name in names)


def test_the_order_of_preference_is_kept() -> None:
    providers = providers_for(Channel.EMAIL, ["smtp://b.example", "smtp://a.example"])
    assert [provider.name for provider in providers] == ["smtp://b.example:25", "smtp://a.example:25"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://mary:hunter2@mail.example", "unknown kind; known kinds are: smtp://"),
        ("mail.example", "unknown kind"),
        ("", "unknown kind"),
        ("smtp://", "no usable host"),
        ("smtp://mary:hunter2@", "no usable host"),
        ("smtp://mary:hunter2@mail.example:0", "port"),
        ("smtp://mary:hunter2@mail.example:99999", "port"),
        ("smtp://mary:hunter2@mail.example:smtp", "port"),
        ("smtp://mary:hunter2/x@mail.example", "percent-encode"),
        ("smtp://mary:hunter2#x@mail.example", "percent-encode"),
        ("smtp://mary:hunter2@[mail", "host"),
        ("smtp://mary:hunter2@mail.example/path", "percent-encode"),
        ("smtp://mail.example?hunter2=1", "known are: auth, bounces, ca,"),
        ("smtp://mail.example?tls=none&tls=tls", "twice"),
        ("smtp://mail.example?tls=hunter2", "none, starttls or tls"),
        ("smtp://mail.example?scheme=http", "unknown option"),
        ("smtp://mary:hunter2@mail.example:25", "clear text"),
        ("smtp://mary:hunter2@mail.example:587?tls=none", "clear text"),
        ("smtp://mary@mail.example:587", "both a user and a password"),
        ("smtp://mary:hunter2%0D%0A@mail.example:587", "plain text"),
        ("smtp://mary:hunter2%C3%A9@mail.example:587", "ASCII"),
        ("smtp://mail.example:587?ca=/nowhere/hunter2.pem", "option ca"),
        ("smtp://mail.example?ca=/nowhere/hunter2.pem", "without TLS"),
    ],
)
def test_an_unusable_address_is_refused_without_its_secrets(address: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^Provider address 2 for EMAIL .*\.$") as caught:
        providers_for(Channel.EMAIL, ["smtp://fine.example", address])
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "mary" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("channel", "address", "name", "described"),
    [
        (Channel.EMAIL, "sendgrid://KEY@api.sendgrid.com", "sendgrid://@api.sendgrid.com", "without signed events"),
        (Channel.EMAIL, "sendgrid://apikey:KEY@api.eu.sendgrid.com", "sendgrid://@api.eu.sendgrid.com", "without"),
        (Channel.EMAIL, "ses://ID:SECRET@eu-west-1", "ses://@eu-west-1", "without events from SNS"),
        (Channel.EMAIL, f"ses://ID:SECRET@eu-west-1?topic={TOPIC}", "ses://@eu-west-1", "with events from SNS"),
        (Channel.EMAIL, "ses://ID:SECRET@127.0.0.1:9?scheme=http", "ses://@127.0.0.1:9", "without"),
        (Channel.SMS, "twilio://AC1:T@api.twilio.com?from=%2B447700900123", "twilio://@api.twilio.com", "From +4477"),
        (Channel.SMS, "twilio://AC1:T@api.twilio.com?from=+447700900123", "twilio://@api.twilio.com", "From +4477"),
        (Channel.SMS, "twilio://AC1:T@api.twilio.com?service=MG1", "twilio://@api.twilio.com", "ServiceSid MG1"),
        (Channel.SMS, "plivo://MA1:T@api.plivo.com?from=Lab", "plivo://@api.plivo.com", "src Lab"),
        (Channel.SMS, "plivo://MA1:T@[::1]:9?scheme=http&powerpack=1-2", "plivo://@[::1]:9", "powerpack_uuid 1-2"),
    ],
)
def test_an_address_becomes_a_provider_over_http(channel: Channel, address: str, name: str, described: str) -> None:
    (provider,) = providers_for(channel, [address])
    assert re.sub("[0-9a-f]{6}@", "@", provider.name) == name
    assert described in provider.describe()


@pytest.mark.parametrize(
    "pair",
    [
        ("sendgrid://KEY1@api.sendgrid.com", "sendgrid://KEY2@api.sendgrid.com"),
        ("ses://ID1:S@eu-west-1", "ses://ID2:S@eu-west-1"),
        ("ses://ID1:S@eu-west-1", "ses://ID1:S@eu-west-1?configuration_set=other"),
        ("ses://ID1:S@eu-west-1", "ses://ID1:S@eu-west-1?endpoint=ses.example"),
        ("twilio://AC1:T@api.twilio.com?from=60777", "twilio://AC2:T@api.twilio.com?from=60777"),
        ("twilio://AC1:T@api.twilio.com?from=60777", "twilio://AC1:T@api.twilio.com?from=60778"),
        ("plivo://MA1:T@api.plivo.com?from=60777", "plivo://MA2:T@api.plivo.com?from=60777"),
    ],
)
def test_two_accounts_on_one_host_have_two_names(pair: tuple[str, str]) -> None:
    channel = Channel.EMAIL if pair[0].startswith("s") else Channel.SMS
    one, other = providers_for(channel, pair)
    assert one.name != other.name


@pytest.mark.parametrize(
    ("channel", "address", "said"),
    [
        (Channel.EMAIL, "sendgrid://api.sendgrid.com", "it needs an API key"),
        (Channel.EMAIL, "sendgrid://hunter2@api.sendgrid.com?scheme=http", "only for a loopback host"),
        (Channel.EMAIL, "sendgrid://hunter2@api.sendgrid.com?webhook_key=hunter2", "not the verification key"),
        (Channel.EMAIL, "sendgrid://hunter2%C3%A9@api.sendgrid.com", "ASCII"),
        (Channel.EMAIL, "ses://ID@eu-west-1", "it needs a secret access key"),
        (Channel.EMAIL, "ses://ID:hunter2@amazon", "not a region"),
        (Channel.EMAIL, "ses://ID:hunter2@eu-west-1:8000", "for a loopback host"),
        (Channel.EMAIL, "ses://ID:hunter2@eu-west-1?topic=hunter2", "not the ARN of an SNS topic"),
        (Channel.EMAIL, "ses://ID:hunter2@eu-west-1?endpoint=mail.example&scheme=http", "only for a loopback host"),
        (Channel.EMAIL, "ses://ID:hunter2@eu-west-1?endpoint=http://127.0.0.1:1&scheme=http", "host or host:port"),
        (Channel.EMAIL, "ses://ID:hunter2@eu-west-1?configuration_set=a b", "configuration_set"),
        (Channel.SMS, "twilio://AC1@api.twilio.com?from=60777", "it needs an auth token"),
        (Channel.SMS, "twilio://AC1:hunter2@api.twilio.com", "the option from or the option service"),
        (Channel.SMS, "twilio://AC%2F1:hunter2@api.twilio.com?from=60777", "letters and digits only"),
        (Channel.SMS, "twilio://AC1:hunter2@api.twilio.com?from=hunter2hunter2", "the option from is"),
        (Channel.SMS, "plivo://MA1:hunter2@api.plivo.com", "the option from or the option powerpack"),
        (Channel.SMS, "plivo://:hunter2@api.plivo.com?from=60777", "it needs an auth id"),
    ],
)
def test_an_unusable_address_over_http_is_refused_without_its_secrets(
    channel: Channel, address: str, said: str
) -> None:
    with pytest.raises(ValueError, match=rf"^Provider address 1 for {channel} .*\.$") as caught:
        providers_for(channel, [address])
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_plain_http_is_for_loopback_only() -> None:
    assert parse("api://KEY@127.0.0.1:9?scheme=http", HTTP_OPTIONS).options == {"scheme": "http"}
    with pytest.raises(ValueError, match="only for a loopback host"):
        parse("api://KEY@api.example?scheme=http", HTTP_OPTIONS)
    with pytest.raises(ValueError, match="http or https"):
        parse("api://KEY@127.0.0.1?scheme=ftp", HTTP_OPTIONS)


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_address_is_taken_or_refused_in_one_sentence(middle: str, end: str) -> None:
    try:
        providers_for(Channel.EMAIL, [f"smtp://{middle}@mail.example{end}"])
    except ValueError as fault:
        assert str(fault).startswith("Provider address 1 for EMAIL")  # noqa: PT017 - most are refused
