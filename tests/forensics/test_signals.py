"""Signals as data: every rule finds its examples and not its near misses, in linear time."""

from __future__ import annotations

import re

import pytest

from casreplay.errors import ConfigError
from casreplay.forensics.signals import CARRIER, STOPPED, load_rules, plain_matcher
from casreplay.model.causes import CATEGORIES
from casreplay.model.config import CategoryConfig, SignalConfig

RULES = load_rules()


@pytest.mark.parametrize("signal", RULES.signals, ids=lambda signal: signal.id)
def test_a_signal_finds_its_examples_and_not_its_near_misses(signal):
    assert len(signal.matches) >= 2
    assert len(signal.differs) >= 2
    for line in signal.matches:
        assert signal in RULES.match(line), line
    for line in signal.differs:
        assert signal not in RULES.match(line), line


@pytest.mark.parametrize("signal", RULES.signals, ids=lambda signal: signal.id)
def test_a_signal_is_whole(signal):
    assert signal.category in {*CATEGORIES, CARRIER, STOPPED}
    assert 1 <= signal.weight <= 3
    assert signal.remedy[0].isupper()
    assert signal.remedy[-1] not in ".!"
    assert re.fullmatch(r"[a-z_]+", signal.sub_cause)


def test_every_pattern_is_linear_time():
    re2 = pytest.importorskip("re2", reason="google-re2 is an optional extra")
    for signal in RULES.signals:
        re2.compile(signal.pattern)


def test_ids_are_unique():
    ids = [signal.id for signal in RULES.signals]
    assert len(ids) == len(set(ids)) >= 219


def test_both_engines_find_the_same():
    lines = [line for signal in RULES.signals for line in (*signal.matches, *signal.differs)]
    plain = plain_matcher([signal.pattern for signal in RULES.signals])
    for line in lines:
        assert [RULES.signals[i] for i in plain(line)] == RULES.match(line), line


def test_every_category_says_what_to_do():
    for name in CATEGORIES:
        category = RULES.category(name)
        assert category.description
        assert category.remediation


def test_users_add_signals_categories_and_texts():
    rules = load_rules(
        (
            CategoryConfig(
                "vendor_bug", "The vendor's fault", ("Call them",), (SignalConfig("ACME-\\d+", 3),)
            ),
            CategoryConfig("drift", remediation=("Look at the image",)),
        )
    )
    (hit,) = rules.match("crash ACME-17")
    assert (hit.category, hit.id, hit.weight) == ("vendor_bug", "user.vendor_bug.1", 3)
    assert rules.category("drift").remediation == ("Look at the image",)
    assert rules.category("drift").description == RULES.category("drift").description
    assert rules.digest != RULES.digest


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "("])
def test_a_pattern_without_linear_time_is_refused(pattern):
    pytest.importorskip("re2", reason="google-re2 is an optional extra")
    with pytest.raises(ConfigError, match="refused"):
        load_rules((CategoryConfig("mine", signals=(SignalConfig(pattern),)),))
