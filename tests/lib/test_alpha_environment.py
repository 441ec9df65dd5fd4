"""What installations of the alpha export makes providers, and nobody's own account is used by mistake."""

from backend.lib import alpha_environment, settings

EXPORTED = {
    "FROM_NUMBER": "+447700900123",
    "TWILIO_ACCOUNT_SID": "AC1",
    "TWILIO_AUTH_TOKEN": "se/cret",
    "TWILIO_NUMBER": "GOV",
    "PLIVO_ACCOUNT_SID": "MA1",
    "PLIVO_AUTH_TOKEN": "secret",
    "SENDGRID_API_KEY": "SG.1",
    "SENDGRID_USERNAME": "somebody",
    "AWS_ACCESS_KEY_ID": "AKIA1",
    "AWS_SECRET_ACCESS_KEY": "a+b",
}


def test_the_exported_variables_are_providers_in_the_alphas_order() -> None:
    assert alpha_environment.email_providers(EXPORTED) == (
        "sendgrid://SG.1@api.sendgrid.com",
        "ses://AKIA1:a%2Bb@eu-west-1",
    )
    assert alpha_environment.sms_providers(EXPORTED) == (
        "twilio://AC1:se%2Fcret@api.twilio.com?from=GOV",
        "plivo://MA1:secret@api.plivo.com?from=%2B447700900123",
    )
    assert alpha_environment.sms_providers({}) == alpha_environment.email_providers({}) == ()


def test_half_of_an_account_is_none() -> None:
    for name in ("TWILIO_AUTH_TOKEN", "TWILIO_ACCOUNT_SID"):
        some = {key: value for key, value in EXPORTED.items() if key != name}
        assert [one.partition(":")[0] for one in alpha_environment.sms_providers(some)] == ["plivo"]


def test_an_account_of_somebodys_session_is_left_alone() -> None:
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
        found = alpha_environment.email_providers(EXPORTED | {name: "mine"})
        assert found == ("sendgrid://SG.1@api.sendgrid.com",)


def test_what_is_set_here_goes_before_it() -> None:
    key = {"CARILLON_SECRET_KEY": "a-secret-key-of-32-characters-ok"}
    assert len(settings.from_environment(EXPORTED | key).sms_providers) == 2
    own = settings.from_environment(EXPORTED | key | {"CARILLON_SMS_PROVIDERS": "plivo://a:b@api.plivo.com?from=1"})
    assert own.sms_providers == ("plivo://a:b@api.plivo.com?from=1",)
    assert len(own.email_providers) == 2
