"""Ways around nodes that only pass values on, such as those of an ``EnsembleArray``.

A node without a function is on the host, so an ensemble's decoded values would go there and come back. Where such a
node leads from ensembles of the array to ensembles of the array, direct connections take its place: the product of the
transforms on the way, with the one synapse there may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from nengo.transforms import Dense, NoTransform

LARGEST = 1 << 18
"""Synapses that the ways around one connection out of a node may take."""


class _NotLinearError(Exception):
    """The way cannot be one connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A direct connection, and the first one of the way that it takes the place of."""

    connection: nengo.Connection
    first: nengo.Connection


class Bypass:
    """The ways around the nodes of a network.

    Parameters:
        network: the whole model; it is not changed.
        on_array: ensembles (or their neurons) that are on the array.

    Attributes:
        ways: connections to build beside the network's.
        replaced: connections whose values these carry in their place.
    """

    def __init__(self, network: nengo.Network, on_array: Any) -> None:
        self._on_array = on_array
        self._into: dict[Any, list[nengo.Connection]] = {}
        out: dict[Any, list[nengo.Connection]] = {}
        for connection in network.all_connections:
            self._into.setdefault(connection.post_obj, []).append(connection)
            out.setdefault(connection.pre_obj, []).append(connection)
        self._probed = {probe.obj for probe in network.all_probes}
        self.ways: list[Way] = []
        self.replaced: set[nengo.Connection] = set()
        for node in network.all_nodes:
            if _passes(node):
                for connection in out.get(node, []):
                    self._go_around(connection)
        self._drop_unheard(network, out)

    def _go_around(self, last: nengo.Connection) -> None:
        """Find direct connections that do what one out of a node does."""
        if not self._on_array(last.post_obj) or last in self._probed:
            return
        if last.learning_rule_type is not None or last.function is not None:
            return
        try:
            found = [
                Way(connection=_direct(first, last, matrix, synapse), first=first)
                for first, matrix, synapse in self._ways_to(last, ())
                if matrix.any()
            ]
        except _NotLinearError:
            return
        if not any(self._on_array(way.first.pre_obj) for way in found):
            return
        size = sum(_synapses(way.connection) for way in found if self._on_array(way.first.pre_obj))
        if size <= LARGEST:
            self.ways += found
            self.replaced.add(last)

    def _ways_to(
        self, last: nengo.Connection, passed: tuple[Any, ...]
    ) -> Iterator[tuple[nengo.Connection, np.ndarray, Any]]:
        """First connections of all ways that end with this one: their matrices up to its target, and the synapse."""
        node = last.pre_obj
        if node in passed:
            raise _NotLinearError
        ending = _matrix(last)
        for connection in self._into.get(node, []):
            if connection.learning_rule_type is not None:
                raise _NotLinearError
            if isinstance(connection.pre_obj, nengo.Node) and _passes(connection.pre_obj):
                if connection.function is not None:
                    raise _NotLinearError
                for first, matrix, synapse in self._ways_to(connection, (*passed, node)):
                    yield first, ending @ matrix, _one(synapse, last.synapse)
            else:
                yield connection, ending @ _matrix(connection), _one(connection.synapse, last.synapse)

    def _drop_unheard(self, network: nengo.Network, out: dict[Any, list[nengo.Connection]]) -> None:
        """Connections into nodes that nobody listens to any more need no computing either."""
        probed = self._probed
        more = True
        while more:
            more = False
            for node in (n for n in network.all_nodes if _passes(n)):
                heard = out.get(node, [])
                if not heard or node in probed or any(c in probed or c not in self.replaced for c in heard):
                    continue
                unheard = [c for c in self._into.get(node, []) if c not in self.replaced and c not in probed]
                self.replaced.update(unheard)
                more = more or bool(unheard)


def _passes(node: Any) -> bool:
    return isinstance(node, nengo.Node) and node.output is None


def _matrix(connection: nengo.Connection) -> np.ndarray:
    """What a connection does to its function's values, ``(target's whole size, size_mid or source's whole size)``."""
    transform = connection.transform
    if type(transform) is NoTransform:
        weights = np.eye(connection.size_mid)
    elif type(transform) is Dense and isinstance(transform.init, np.ndarray | float | int):
        init = np.asarray(transform.init, dtype=float)
        weights = np.eye(connection.size_mid) * init if init.ndim < 2 else init
    else:
        raise _NotLinearError
    post = np.zeros((connection.post_obj.size_in, weights.shape[0]))
    rows = np.atleast_1d(np.arange(connection.post_obj.size_in)[connection.post_slice])
    np.add.at(post, (rows, np.arange(len(rows))), 1.0)
    result = post @ weights
    if _passes(connection.pre_obj):
        pre = np.eye(connection.pre_obj.size_out)[connection.pre_slice]
        result = result @ np.atleast_2d(pre)
    return result


def _one(first: Any, second: Any) -> Any:
    """The one synapse of two, as the other one is None."""
    if first is not None and second is not None:
        raise _NotLinearError
    return second if first is None else first


def _direct(first: nengo.Connection, last: nengo.Connection, matrix: np.ndarray, synapse: Any) -> nengo.Connection:
    return nengo.Connection(
        first.pre,
        last.post_obj,
        function=first.function if isinstance(first.pre_obj, nengo.Ensemble | nengo.Node) else None,
        transform=matrix,
        synapse=synapse,
        solver=first.solver,
        eval_points=first.eval_points,
        scale_eval_points=first.scale_eval_points,
        add_to_container=False,
        label=f"{first} around {last.pre_obj}",
    )


def _synapses(connection: nengo.Connection) -> int:
    post = connection.post_obj
    pre = connection.pre_obj
    sources = pre.n_neurons if isinstance(pre, nengo.Ensemble) else pre.size_out
    return int(sources) * int(post.n_neurons if isinstance(post, nengo.Ensemble) else post.size_in)
