"""The tree through which the sequencer sees that everything is at rest."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Barrier(wiring.Component):
    """And of all leaves, a register after each level: ``o`` is what all leaves were ``latency`` cycles ago, at once.

    Every leaf has the same way to the root, so the root shows one instant. As an array that is idle cannot become busy
    by itself, a root that is high means rest until the next start, provided that no older start is still on its way.

    Parameters
    ----------
    leaves : int
        At least 1.
    fan_in : int
        Leaves of one gate, at least 2; 4 fit a look-up table.

    Members
    -------
    i : ``In(leaves)``
        Who is idle.
    o : ``Out(1)``
        All were; low after a reset.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``, at least 1.
    """

    def __init__(self, leaves: int, fan_in: int = 4):
        if leaves < 1 or fan_in < 2:
            raise ValueError(f"a barrier needs a leaf and gates of two inputs, not {leaves} and {fan_in}")
        self.leaves = leaves
        self.fan_in = fan_in
        self.latency = 1
        while fan_in**self.latency < leaves:
            self.latency += 1
        super().__init__({"i": In(leaves), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        level = self.i
        for n in range(self.latency):
            groups = [level[at : at + self.fan_in] for at in range(0, len(level), self.fan_in)]
            joined = Signal(len(groups), name=f"level{n}")
            m.d.sync += joined.eq(Cat(group.all() for group in groups))
            level = joined
        m.d.comb += self.o.eq(level)
        return m
