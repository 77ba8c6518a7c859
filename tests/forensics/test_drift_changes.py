from __future__ import annotations

import random

import pytest

from casreplay.forensics.drift_changes import analyse, change_points, is_step_function


def noise(rng, n, kind):
    if kind == "normal":
        return [rng.gauss(0, 1) for _ in range(n)]
    if kind == "heavy":
        return [rng.gauss(0, 1) / max(abs(rng.gauss(0, 1)), 1e-3) for _ in range(n)]
    if kind == "uniform":
        return [rng.random() for _ in range(n)]
    if kind == "counts":
        return [float(rng.randint(0, 6)) for _ in range(n)]
    if kind == "mostly":
        return [float(rng.choice([10] * 14 + [9] * 5 + [8])) for _ in range(n)]
    if kind == "seldom":
        return [float(rng.random() < 0.1) for _ in range(n)]
    value, out = 0.0, []
    for _ in range(n):
        value = 0.7 * value + rng.gauss(0, 1)
        out.append(value)
    return out


@pytest.mark.parametrize("kind", ["normal", "heavy", "uniform", "counts", "wandering", "mostly", "seldom"])
def test_noise_raises_almost_no_alarms(kind):
    rng = random.Random(11)
    alarms = sum(len(analyse(noise(rng, 500, kind)).changes) for _ in range(12))
    assert alarms <= 1


@pytest.mark.parametrize("kind", ["normal", "heavy", "counts"])
def test_a_shift_in_noise_is_found_near_its_place(kind):
    rng = random.Random(5)
    for place in (60, 200, 310):
        values = noise(rng, 400, kind)
        values = [v + (8.0 if i >= place else 0.0) for i, v in enumerate(values)]
        found = analyse(values)
        assert found.kind == "noisy"
        assert len(found.changes) == 1
        assert abs(found.changes[0].at - place) <= 6
        assert 5 < found.changes[0].shift < 11
        assert found.changes[0].effect >= 1


def test_several_shifts_come_largest_first():
    rng = random.Random(2)
    values = [rng.gauss(0, 1) + (6 if 100 <= i < 220 else 0) + (15 if i >= 300 else 0) for i in range(400)]
    found = analyse(values).changes
    assert [round(c.at, -1) for c in found] == [300, 100, 220] or [round(c.at, -1) for c in found] == [
        300,
        220,
        100,
    ]
    assert [abs(c.shift) for c in found] == sorted((abs(c.shift) for c in found), reverse=True)


def test_an_exact_step_function_needs_no_statistics():
    values = [3.0] * 40 + [4.0] * 30 + [9.0] * 50
    found = analyse(values)
    assert found.kind == "steps"
    assert [(c.at, c.before, c.after, c.effect) for c in found.changes] == [
        (70, 4.0, 9.0, None), (40, 3.0, 4.0, None),
    ]  # fmt: skip
    assert is_step_function([1.0, 1.0, 5.0, 5.0])
    assert not is_step_function([1.0, 2.0, 1.0, 2.0])


def test_constant_and_short_series_say_so():
    assert analyse([7.0] * 30).kind == "constant"
    assert analyse([]).kind == "constant"
    assert analyse([1.0, 4.0, 2.0, 5.0]).kind == "short"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_slow_slope_is_one_slope_not_many_steps(sign):
    rng = random.Random(8)
    values = [100 + sign * 0.05 * i + rng.gauss(0, 1) for i in range(600)]
    found = analyse(values)
    assert found.slope == pytest.approx(sign * 30, rel=0.15)
    assert found.changes == ()


def test_a_step_on_a_slope_is_both():
    rng = random.Random(8)
    values = [100 + 0.05 * i + (30 if i >= 300 else 0) + rng.gauss(0, 1) for i in range(600)]
    found = analyse(values)
    assert any(abs(c.at - 300) <= 5 for c in found.changes)


def test_one_outlier_is_no_change():
    rng = random.Random(1)
    values = [rng.gauss(10, 1) for _ in range(300)]
    values[150] = 10_000.0
    assert analyse(values).changes == ()


def test_long_series_are_thinned_and_say_how_far():
    rng = random.Random(3)
    values = [rng.gauss(0, 1) + (9 if i >= 7000 else 0) for i in range(12_000)]
    found = analyse(values)
    assert found.resolution == 6
    assert len(found.changes) == 1
    assert abs(found.changes[0].at - 7000) <= 30


def test_change_points_of_ranks_do_not_depend_on_scale():
    rng = random.Random(4)
    values = [rng.gauss(0, 1) + (5 if i >= 120 else 0) for i in range(200)]
    places = [c.at for c in change_points(values)]
    assert places == [c.at for c in change_points([v * 1e6 + 3 for v in values])]
