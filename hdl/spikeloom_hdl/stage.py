"""Registers of a pipeline: one that keeps what is not taken, and rigid ones that carry values along."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Skid(wiring.Component):
    """Passes a stream on in the same cycle, with ``i.ready`` from a register: what is not taken is kept here.

    A cycle later than its consumer the producer stands still, and no path goes from the one to the other.

    Parameters
    ----------
    shape :
        Of the payload.

    Members
    -------
    i : ``In(stream(shape))``, o : ``Out(stream(shape))``
    """

    def __init__(self, shape: Any):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        held = Signal.like(Value.cast(self.i.payload))
        # The same register twice: the producer is far from the consumer.
        full, free = Signal(), Signal(init=1)
        m.d.comb += [
            self.i.ready.eq(free),
            self.o.valid.eq(self.i.valid | full),
            Value.cast(self.o.payload).eq(Mux(full, held, self.i.payload)),
        ]
        m.d.sync += [full.eq(self.o.valid & ~self.o.ready), free.eq(~self.o.valid | self.o.ready)]
        with m.If(~full):
            m.d.sync += held.eq(self.i.payload)
        return m


class RigidPipeline:
    """Named values that move one register further with each :meth:`step`, never waiting.

    ``pipe["u"]`` is the value in the present stage; ``pipe.set(u=...)`` replaces it there; values that nobody uses
    any more leave no registers behind after synthesis.
    """

    def __init__(self, m: Module, name: str):
        self._m, self.name, self.stage = m, name, 0
        self._values: dict[str, Value] = {}

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def set(self, **values: Value) -> None:
        self._values.update(values)

    def drop(self, *names: str) -> None:
        """Forget values that later stages do not need."""
        for name in names:
            del self._values[name]

    def step(self) -> None:
        self.stage += 1
        for name, value in self._values.items():
            shape = value.shape() if isinstance(value, Value) else Value.cast(value).shape()
            register = Signal(shape, name=f"{self.name}{self.stage}_{name}")
            self._m.d.sync += register.eq(value)
            self._values[name] = register
