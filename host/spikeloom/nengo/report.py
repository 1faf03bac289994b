"""The report of a split: what runs where, how weights were rounded, what is approximate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import nengo

from ..contract.network import QuantisedNetwork
from .quantise import Rounded, Scaled
from .split import Split, owner, synapse_count


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One ensemble or connection."""

    name: str
    place: str
    size: int
    remark: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Lines for ensembles and connections; probes, nodes and everything else are on the host."""

    ensembles: tuple[Line, ...]
    connections: tuple[Line, ...]

    @classmethod
    def of(
        cls,
        split: Split,
        scaled: Mapping[nengo.Ensemble, Scaled],
        rounded: Mapping[nengo.Connection, Rounded],
        network: QuantisedNetwork | None,
    ) -> Report:
        ensembles = []
        for ensemble, place in split.ensembles.items():
            remarks = list(place.notes)
            if ensemble in scaled:
                scale = scaled[ensemble].scale
                remarks.append(f"threshold {scale.min():.0f} to {scale.max():.0f}")
            remark = place.why or "; ".join(remarks)
            ensembles.append(Line(name=str(ensemble), place=_name(place), size=ensemble.n_neurons, remark=remark))
        connections = []
        for connection, place in split.connections.items():
            if place.on_array:
                error = rounded[connection]
                remark = f"weights use {error.bits:.1f} bits, error {error.error:.2%} of their root mean square"
                if owner(connection.pre_obj) in split.sources:
                    remark += ", spikes from the host"
                if error.clipped:
                    remark += f", {error.clipped} clipped"
                size = synapse_count(connection)
            else:
                remark, size = place.why, connection.size_mid
            if owner(connection.pre_obj) is None and not place.on_array and connection not in split.replaced:
                remark = (
                    "currents from the host" if split.on_array(owner(connection.post_obj)) else "both ends on the host"
                )
            connections.append(Line(name=str(connection), place=_name(place), size=size, remark=remark))
        return cls(ensembles=tuple(ensembles), connections=tuple(connections))

    @property
    def on_array(self) -> int:
        """Ensembles on the array."""
        return sum(line.place == "array" for line in self.ensembles)

    @property
    def text(self) -> str:
        """The report as lines to read."""
        lines = []
        for title, entries in (("ensemble", self.ensembles), ("connection", self.connections)):
            lines.append(f"{title}s: {sum(e.place == 'array' for e in entries)} of {len(entries)} on the array")
            lines += [f"  {e.place:<5} {e.size:>7}  {e.name}: {e.remark}" for e in entries]
        return "\n".join(lines)


def _name(place) -> str:
    return "array" if place.on_array else "host"
