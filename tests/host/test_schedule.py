"""The schedules: latencies, phases, delays, and loops that they refuse."""

from itertools import pairwise

import numpy as np
import pytest

from spikeloom.compiler.schedule import check_phases, check_slots, schedule
from spikeloom.contract.errors import FitError, NetworkError
from spikeloom.contract.network import InputPopulation, Population, Projection, QuantisedNetwork


def network(*edges: tuple[str, str, int]) -> QuantisedNetwork:
    """One neuron a population; ``edges`` are (source, target, delay)."""
    names = sorted({name for a, b, _ in edges for name in (a, b)} - {"in"})
    one = np.ones((1, 1), dtype=np.int64)
    return QuantisedNetwork(
        inputs=[InputPopulation(name="in", shape=(1,))],
        populations=[Population(name=name, shape=(1,), theta=1, v_min=-1) for name in names],
        projections=[Projection(source=a, target=b, weights=one, delay=d) for a, b, d in edges],
        outputs={"out": names[-1]},
    )


def test_a_chain_runs_one_tick_later_a_layer() -> None:
    plan = schedule(network(("in", "a", 0), ("a", "b", 0), ("b", "c", 0)))
    assert plan.latencies == {"a": 0, "b": 1, "c": 2}
    assert plan.delays == (1, 1, 1)
    assert plan.slots == 2


def test_a_skip_is_balanced() -> None:
    plan = schedule(network(("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("in", "c", 0), ("a", "c", 2)))
    assert plan.latencies == {"a": 0, "b": 1, "c": 2}
    assert plan.delays == (1, 1, 1, 3, 4)
    assert plan.slots == 8


def test_delays_of_the_framework_save_latency() -> None:
    plan = schedule(network(("in", "a", 3), ("a", "b", 1), ("b", "a", 1), ("b", "c", 5)))
    assert plan.latencies == {"a": 0, "b": 0, "c": 0}
    assert plan.delays == (4, 1, 1, 5)


def test_a_recurrent_population_needs_one_tick() -> None:
    assert schedule(network(("in", "a", 0), ("a", "a", 1))).latencies == {"a": 0}
    with pytest.raises(NetworkError, match=r"loop a -> a has a delay of 0 ticks for 1 edges.*layered"):
        schedule(network(("in", "a", 0), ("a", "a", 0)), "pipelined")


def test_a_loop_over_layers_is_named_in_the_spikes_direction() -> None:
    edges = [("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "b", 1), ("c", "d", 0), ("d", "e", 0)]
    with pytest.raises(NetworkError, match=r"loop (b -> c -> b|c -> b -> c) has a delay of 1 ticks for 2 edges"):
        schedule(network(*edges), "pipelined")
    edges[3] = ("c", "b", 2)
    plan = schedule(network(*edges))
    assert plan.latencies == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}
    assert min(plan.delays) == 1


def test_the_hardware_counts_to_62() -> None:
    def chain(depth: int) -> QuantisedNetwork:
        names = ["in", *(f"p{n:02}" for n in range(depth))]
        return network(*((a, b, 0) for a, b in pairwise(names)))

    assert max(schedule(chain(63)).latencies.values()) == 62
    with pytest.raises(NetworkError, match=r"p63: 63 ticks behind the input.*counts to 62"):
        schedule(chain(64))


def test_slots_are_checked() -> None:
    deep = network(("in", "a", 0), ("a", "b", 0), ("in", "b", 3))
    plan = schedule(deep)
    assert plan.delays[2] == 5
    check_slots(deep, plan, 8)
    with pytest.raises(FitError, match=r"in -> b: takes 5 ticks.*slots = 4 allow 3.*needs slots = 8"):
        check_slots(deep, plan, 4)


def test_layers_take_turns() -> None:
    edges = [("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("in", "c", 2), ("a", "c", 1), ("c", "c", 1), ("a", "d", 3)]
    plan = schedule(network(*edges), "layered")
    assert plan.phases == {"a": 0, "b": 1, "c": 2, "d": 0}
    assert set(plan.latencies.values()) == {0}
    assert plan.delays == (1, 0, 0, 3, 1, 1, 3)
    assert (plan.phase_count, plan.slots) == (3, 4)


def test_a_loop_with_one_tick_is_for_the_layered_schedule() -> None:
    loop = network(("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "a", 1))
    plan = schedule(loop)
    assert plan == schedule(loop, "layered")
    assert plan.phases == {"a": 0, "b": 1, "c": 2}
    assert plan.delays == (1, 0, 0, 1)
    check_phases(loop, plan, 3)
    with pytest.raises(FitError, match=r"takes 3 phases a tick, the core has 2: raise phases to 3.*loop (a|b|c) -> "):
        check_phases(loop, plan, 2)
    chain = network(("in", "a", 0), ("a", "b", 0))
    assert schedule(chain) == schedule(chain, "pipelined")
    with pytest.raises(FitError, match=r"the core has 1: raise phases to 2 .* or choose the pipelined schedule"):
        check_phases(chain, schedule(chain, "layered"), 1)


def test_a_loop_without_delay_is_refused() -> None:
    loop = network(("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "b", 0), ("c", "d", 0), ("d", "d", 1))
    for kind in ("layered", "auto"):
        with pytest.raises(NetworkError, match=r"loop (b -> c -> b|c -> b -> c) has no delay at all"):
            schedule(loop, kind)


def test_sixteen_phases_are_all() -> None:
    names = ["in", *(f"p{n:02}" for n in range(17))]
    chain = network(*((a, b, 0) for a, b in pairwise(names)))
    with pytest.raises(FitError, match=r"takes 17 phases a tick, at most 16 exist"):
        schedule(chain, "layered")
    assert schedule(chain).phase_count == 1
    back = network(*((a, b, 0) for a, b in pairwise(names)), ("p16", "p00", 1))
    with pytest.raises(NetworkError, match=r"delay of 1 ticks for 17 edges"):
        schedule(back)
    with pytest.raises(FitError, match="must be pipelined, layered or auto"):
        schedule(chain, "other")  # type: ignore[arg-type]
