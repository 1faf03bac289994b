"""A tensor of the network: the weighted sum that it is, and how its axes stand.

Exporters whose frameworks have channels last put a transpose in front of and behind each convolution. Such turns are
only noted here, until something needs the values in their order: most of them meet their inverse first, and what was a
convolution stays one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
from scipy import sparse

from ..linear import Combination, Shape

Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Signal:
    """A tensor that depends on the input, without the batch.

    Attributes:
        value: the weighted sum of inputs and activations that it is.
        shape: as the graph sees it, but for the pads.
        order: axis ``n`` of ``shape`` is axis ``order[n]`` of ``value``; None: they are the same.
        pads: zeros in front of and behind each axis of ``shape``; None: there are none.
        activation: the activation whose output this is, value for value; None for any other sum.
    """

    value: Combination
    shape: Shape
    order: Shape | None = None
    pads: Pads | None = None
    activation: str | None = None

    @property
    def whole(self) -> Shape:
        """The shape with its pads."""
        pads = self.pads or ((0, 0),) * len(self.shape)
        return tuple(n + a + b for n, (a, b) in zip(self.shape, pads, strict=True))

    @property
    def stored(self) -> Shape:
        """The shape in the order of the values."""
        if self.order is None:
            return self.shape
        return tuple(self.shape[self.order.index(n)] for n in range(len(self.shape)))

    def in_order(self) -> Signal:
        """The same with its values in the order of its shape."""
        if self.order is None:
            return self
        places = np.arange(prod(self.shape)).reshape(self.stored).transpose(self.order).reshape(-1)
        return replace(self, value=_rows(self.value, places), order=None, activation=None)

    def plain(self) -> Signal:
        """The same with its values in order and its zeros among them."""
        turned = self.in_order()
        if turned.pads is None:
            return turned
        inner = tuple(slice(a, a + n) for n, (a, _) in zip(self.shape, turned.pads, strict=True))
        places = np.full(self.whole, -1)
        places[inner] = np.arange(prod(self.shape)).reshape(self.shape)
        value = _rows(turned.value, places.reshape(-1))
        return Signal(value=value, shape=self.whole)

    def turned(self, axes: Shape) -> Signal:
        """Axis ``n`` of the result is axis ``axes[n]`` of this."""
        x = self.plain() if self.pads else self
        order = tuple((x.order or tuple(range(len(x.shape))))[a] for a in axes)
        shape = tuple(x.shape[a] for a in axes)
        if order == tuple(range(len(order))):
            return replace(x, shape=shape, order=None)
        moved = [a for a in order if x.stored[a] > 1]
        if moved == sorted(moved):  # axes of length 1 alone change places: the values stay where they are
            return replace(x, shape=shape, order=None)
        return replace(x, shape=shape, order=order)

    def as_stored(self, values: np.ndarray) -> np.ndarray:
        """Values of ``shape``, ``(size,)``, in the order of this signal's own."""
        if self.order is None:
            return values
        return values.reshape(self.shape).transpose(np.argsort(self.order)).reshape(-1)


def _rows(value: Combination, places: np.ndarray) -> Combination:
    """The values at these places; zero where a place is -1."""
    there = np.flatnonzero(places >= 0)
    pick = sparse.csr_array(
        (np.ones(len(there)), (there, places[there])), shape=(len(places), value.size)
    )  # fmt: skip
    terms = {
        name: replace(term, weights=pick @ term.unpooled(), convolution=None, target=())
        for name, term in value.terms.items()
    }
    return Combination(len(places), terms, pick @ value.constant)
