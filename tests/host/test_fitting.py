"""Fitting an array to a board: the model of resources, the Pareto front, and what is said where nothing fits."""

import json
from pathlib import Path

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.compiler import resources
from spikeloom.contract.boards import ROOMS
from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.errors import ConfigError, FitError
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.fitting import Candidate, pareto
from spikeloom_sim.cycles import predicted

TABLE = json.loads((Path(__file__).parents[2] / "docs" / "results" / "resources.json").read_text())["points"]
FAMILIES = sorted(resources.fitted()["families"])


def network(*sizes: int) -> QuantisedNetwork:
    rng = np.random.default_rng(3)
    names = ["in", *(f"p{n}" for n in range(1, len(sizes)))]
    return QuantisedNetwork(
        inputs=[InputPopulation(name="in", shape=(sizes[0],))],
        populations=[
            Population(name=n, shape=(s,), theta=900, v_min=-900) for n, s in list(zip(names, sizes, strict=True))[1:]
        ],
        projections=[
            Projection(source=names[n], target=names[n + 1], weights=rng.integers(-50, 90, (sizes[n + 1], sizes[n])))
            for n in range(len(sizes) - 1)
        ],
        outputs={"out": names[-1]},
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_logic_of_arrays_that_were_held_out(family: str) -> None:
    """Each array of the table, predicted from all others, is within 10 %; memories are compared in tests/hdl."""
    points = [(ArrayConfig.from_dict(p["config"]), p["used"]) for p in TABLE if p["family"] == family]
    for guess, (config, used) in zip(resources.held_out(family, points), points, strict=True):
        for name in resources.LOGIC[family]:
            assert guess[name] == pytest.approx(used[name], rel=0.1), config
    blind = resources.predict(points[0][0], family, {name: {"array": 1.0} for name in resources.LOGIC[family]})
    assert blind[resources.LOGIC[family][0]] < 0.5 * points[0][1][resources.LOGIC[family][0]]


def candidate(cycles: float, area: float, ticks: int = 10, behind: int = 0) -> Candidate:
    return Candidate(
        network=network(2, 2), schedule="pipelined", config=ArrayConfig(), used={}, shares={"COMB": area},
        clock_mhz=50, cycles=cycles, ticks=ticks, latency_ticks=behind,
    )  # fmt: skip


def test_the_front_is_what_nothing_beats() -> None:
    fast, small, both = candidate(100, 0.9), candidate(900, 0.1), candidate(100, 0.8)
    slow, late = candidate(901, 0.1), candidate(99, 0.9, behind=3)
    assert pareto([fast, small, slow, both]) == [both, small]
    assert pareto([fast, late]) == [late, fast]
    assert fast.rate == pytest.approx(500_000)
    assert late.latency == pytest.approx(4 * 99 / 13 / 50e6)


def test_goals() -> None:
    quantised = network(12, 8, 3)
    samples = (np.random.default_rng(1).random((1, 4, 12)) < 0.3).astype(np.int64)
    found = sl.fit(quantised, samples, "ulx3s_25f")
    by = {goal: found.best_by(goal) for goal in ("rate", "area", "latency")}
    assert found.best is by["rate"]
    assert by["rate"].rate == max(c.rate for c in found.every)
    assert by["area"].area == min(c.area for c in found.every)
    assert by["latency"].latency == min(c.latency for c in found.every)
    assert by["rate"].area > by["area"].area
    assert {c.schedule for c in found.every} == {"pipelined", "layered"}
    json.dumps(found.to_dict())
    best = found.best
    limits = ROOMS["ulx3s_25f"].chip.resources
    assert all(value <= limits[name] for name, value in best.used.items())
    again = sl.compile(quantised, best.config, best.schedule)
    assert again.config == best.config


def test_cycles_of_the_best_are_those_of_all_samples() -> None:
    """Also where the first look at a candidate covers all ticks of its one sample."""
    quantised = network(12, 8, 3)
    samples = (np.random.default_rng(1).random((2, 4, 12)) < 0.6).astype(np.int64)
    samples[1] = 0
    best = sl.fit(quantised, samples, "ulx3s_25f").best
    each = predicted(sl.compile(quantised, best.config, best.schedule), samples).sum(axis=1)
    assert best.exact
    assert best.cycles == each.mean() < each[0]


def test_what_does_not_fit_is_told_with_its_cure() -> None:
    samples = np.zeros((1, 2, 400), dtype=np.int64)
    with pytest.raises(FitError, match=r"ulx3s_25f .* RAM, the chip lets it have 56, \d+ too few.*weight_bits than 8"):
        sl.fit(network(400, 400), samples, "ulx3s_25f")
    measured = "ice40" in FAMILIES
    with pytest.raises(FitError if measured else ConfigError, match=r"icebreaker .* too few|no array of ice40"):
        sl.fit(network(400, 400), samples, "icebreaker")
    with pytest.raises(ConfigError, match="icebreaker, ulx3s_25f, ulx3s_85f"):
        sl.fit(network(2, 2), samples, "nexys")
    with pytest.raises(FitError, match="goal must be"):
        sl.fit(network(2, 2), samples, goal="cheap")  # type: ignore[arg-type]
