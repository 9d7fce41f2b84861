"""Trying again after an outage: spread out, bounded, and soon after the peer is back."""

from __future__ import annotations

from random import Random

from core.links.retry import Retry


def outage(seed: int, *, seconds: float) -> list[float]:
    """When a connection that always fails is tried within so many seconds."""
    retry, now, tried = Retry(chance=Random(seed).random), 0.0, []
    while now < seconds:
        retry.tried(now)
        tried.append(now)
        now += max(0.001, retry.failed(now))
    return tried


def test_l5_retry_when_an_outage_lasts_an_hour_then_the_tries_are_bounded() -> None:
    assert 45 <= len(outage(1, seconds=3600)) <= 90


def test_l5_retry_when_many_lost_the_same_peer_then_they_do_not_come_back_together() -> None:
    third = [outage(seed, seconds=60)[3] for seed in range(100)]
    assert len({round(at, 2) for at in third}) > 90
    assert max(third) - min(third) > 3


def test_l5_retry_when_it_fails_again_then_the_pause_grows_to_the_longest_and_the_breaker_opens() -> None:
    retry = Retry(chance=lambda: 0.5)
    pauses = [retry.failed(now) for now in (0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0)]
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert retry.is_open
    retry.succeeded()
    assert not retry.is_open
    assert retry.failed(700.0) == 2.0


def test_l5_retry_when_everybody_asks_for_a_new_connection_then_the_budget_holds() -> None:
    retry, tried = Retry(chance=lambda: 0.5), 0
    for tenth in range(6000):
        if retry.wait_seconds(tenth / 10) == 0:
            retry.tried(tenth / 10)
            tried += 1
    assert tried == 20 + 600 // 30 - 1


def test_retry_when_the_peer_says_how_long_then_not_before() -> None:
    retry = Retry(chance=lambda: 0.5)
    assert retry.failed(0.0, at_least_seconds=300) == 300
    assert retry.wait_seconds(200.0) == 100.0
