"""A service floods web and worker with a slow template; another's HIGH notifications hardly notice."""

from tests.benchmarks import fairness


def test_another_services_high_is_accepted_and_sent_in_time_while_a_slow_template_floods() -> None:
    """Of a busy machine three in four are asked for; ``python -m tests.benchmarks.fairness`` asks for 99 in 100."""
    figures = fairness.measured("sqlite", 4.0)
    assert fairness.at(figures.accepted, 0.75) < fairness.ACCEPT_SECONDS, figures.line()
    assert fairness.at(figures.sent, 0.75) < fairness.SEND_SECONDS, figures.line()
    assert set(figures.flood) == {202, 429}, figures.line()
    assert figures.unsaid == 0, "each 429 says when to come again and by which id it is told of"
