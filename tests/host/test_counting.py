"""NeuroBench's counts against their definitions, spelt out synapse by synapse."""

import numpy as np
import pytest
from hypothesis import given, settings
from random_networks import in_space_network, random_network, random_samples, seeds

import spikeloom as sl
from spikeloom.contract.network import InputKind, InputPopulation, Population, Projection, QuantisedNetwork
from spikeloom.contract.numerics import Numerics, Profile


def test_by_hand() -> None:
    """Two inputs that fire always and once, three neurons, one weight of 0."""
    weights = np.array([[3, 0], [2, 1], [1, 1]])
    network = QuantisedNetwork(
        numerics=Numerics(weight_bits=8, state_bits=24),
        inputs=[InputPopulation(name="in", shape=(2,))],
        populations=[Population(name="a", shape=(3,), theta=40, v_min=-100)],
        projections=[Projection(source="in", target="a", weights=weights)],
        outputs={"out": "a"},
    )
    samples = np.array([[[1, 1], [1, 0]]])
    found = sl.count(network, samples)
    # Sums enter shifted by 4: potentials are 48, 48, 32 after the first tick, and 48, 32, 48 after the second one.
    assert found.spikes == 4
    assert (found.connection_sparsity, found.activation_sparsity) == pytest.approx((1 / 6, 1 / 3))
    assert (found.dense, found.effective_acs, found.effective_macs, found.performed) == (12, 8, 0, 9)
    assert found.membrane_updates == 6
    state, parameters, biases = 24 + 24 + 6 + 1, 13 + 13 + 4 * 24 + 2 + 6 + 6, 48
    assert found.footprint == -(-(6 * 8 + 3 * (state + parameters + biases)) // 8)


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_operations_are_those_of_the_definition(seed: int) -> None:
    """Each spike visits its synapses; those of weight 0 do not count, and those of graded events are multiplied."""
    draw = random_network if seed % 2 else in_space_network
    network = draw(seed, Profile.SPIKELOOM)
    samples = random_samples(network, seed, samples=2, ticks=4)
    result = sl.golden.run(network, samples)
    acs = macs = dense = 0
    for edge in network.projections:
        matrix = network.matrix(edge).toarray()
        kind = next((i.kind for i in network.inputs if i.name == edge.source), None)
        fired = samples[edge.source] if kind else result.populations[edge.source].spikes
        for tick in fired.reshape(-1, matrix.shape[1]):
            events = (tick != 0) if kind is InputKind.GRADED else tick
            operations = int(((matrix != 0) * events).sum())
            macs, acs = (macs + operations, acs) if kind is InputKind.GRADED else (macs, acs + operations)
            dense += network.matrix(edge).nnz
    for drive in network.drives:
        for tick in samples[drive.source].reshape(-1, drive.weights.shape[1]):
            macs += int(((drive.weights != 0) * (tick != 0)).sum())
            dense += drive.weights.size
    found = sl.count(network, samples)
    assert (found.effective_acs, found.effective_macs, found.dense) == (acs / 2, macs / 2, dense / 2)
    assert found.performed == result.synapses.sum() / 2
    assert found.effective_acs <= found.performed
