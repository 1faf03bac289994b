"""Configurations smaller than the contract allows: proofs are about structure, which does not depend on widths."""

from __future__ import annotations

from typing import Any

from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.numerics import Numerics


def numerics(**changes: Any) -> Numerics:
    """Numerics with some values set past the contract's limits."""
    return _force(Numerics(), changes)


def array(*, core: dict[str, Any] | None = None, **changes: Any) -> ArrayConfig:
    """An array of small cores, with some values set past the contract's limits."""
    two = ("lanes", "rows", "words", "slots", "projections", "coordinates", "event_fifo", "spike_fifo")
    defaults = {**dict.fromkeys(two, 2), "group": 1, "numerics": numerics(weight_bits=2, accumulator_bits=4)}
    return _force(ArrayConfig(), {"key_bits": 1, "index_bits": 2, "core": _force(CoreConfig(), defaults | (core or {}))}
                  | changes)  # fmt: skip


def _force(config: Any, values: dict[str, Any]) -> Any:
    for name, value in values.items():
        assert hasattr(config, name), name
        object.__setattr__(config, name, value)
    return config
