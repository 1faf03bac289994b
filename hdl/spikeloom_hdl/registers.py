"""Counters and registers of a core, on the bus."""

from collections.abc import Sequence

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.layout import COLUMN_BITS
from spikeloom.contract.ring import Counter, Space, spaces

from .bus import READ_LATENCY, BusSignature

SWEEP = 20
"""Cycles between two sweeps of a counter, at most: the bus comes between once in four cycles."""


def answer(m: Module, bus: wiring.PureInterface, space: Space, values: list[Value]) -> Value:
    """Answer reads of a space made of registers; returns whether this cycle writes to it."""
    hit = bus.valid & (bus.space == space)
    word = Mux(
        hit & ~bus.write & (bus.address < len(values)), Array(values)[bus.address[: len(values).bit_length()]], 0
    )
    for stage in range(READ_LATENCY):
        register = Signal(COLUMN_BITS, name=f"answer{stage}")
        m.d.sync += register.eq(word)
        word = register
    m.d.comb += bus.read_data.eq(word)
    return hit & bus.write


class Counters(wiring.Component):
    """Exact counters, modulo ``2**32``; a write of any value clears one.

    What counts in each cycle is narrow. One adder sweeps the narrow counters, one a cycle, into a RAM of wide
    ones. An access of the bus sweeps its counter first, so what it reads is exact in that cycle.

    Parameters
    ----------
    most : sequence of int, by :class:`Counter`
        What each counter grows by in a cycle, at most.

    Members
    -------
    step : array of ``In(...)``, by :class:`Counter`
        What each counter grows by in this cycle.
    bus : ``In(BusSignature())``
        Space COUNTER; at most one access in four cycles while something counts.
    """

    def __init__(self, most: Sequence[int]):
        assert len(most) == len(Counter) <= SWEEP * 3 // 4
        self.most = tuple(most)
        steps = {f"step{n}": In(range(limit + 1)) for n, limit in enumerate(most)}
        super().__init__({**steps, "bus": In(BusSignature())})

    @property
    def step(self) -> list[Value]:
        return [getattr(self, f"step{n}") for n in range(len(self.most))]

    def elaborate(self, platform):
        m = Module()
        count = len(Counter)
        m.submodules.totals = totals = Memory(shape=COLUMN_BITS, depth=16, init=[])
        write, read = totals.write_port(), totals.read_port(domain="comb")

        # Whose turn it is: the next one's, or the one's that the bus is asking for. One bit a counter besides, in
        # registers, spares a decoder in front of the adder.
        turn, next_turn = Signal(range(count)), Signal(range(count))
        chosen, next_chosen = Signal(count, init=1), Signal(count, init=1)
        hit, asked, cleared = Signal(), Signal(), Signal()
        wanted = self.bus.address[: len(turn)]
        m.d.comb += hit.eq(self.bus.valid & (self.bus.space == Space.COUNTER))
        m.d.sync += [asked.eq(hit & ~self.bus.write), cleared.eq(hit & self.bus.write)]
        with m.If(hit):
            m.d.sync += [turn.eq(wanted), chosen.eq(1 << wanted)]
        with m.Else():
            m.d.sync += [
                turn.eq(next_turn),
                chosen.eq(next_chosen),
                next_turn.eq(Mux(next_chosen[-1], 0, next_turn + 1)),
                next_chosen.eq(next_chosen.rotate_left(1)),
            ]

        swept = Const(0)
        for n, (limit, step) in enumerate(zip(self.most, self.step, strict=True)):
            narrow = Signal(range(limit * SWEEP + 1), name=f"narrow{n}")
            m.d.sync += narrow.eq(Mux(chosen[n], 0, narrow) + step)
            swept = swept | Mux(chosen[n], narrow, 0)
        # The adder is a cycle behind, and its RAM with it: a counter that is swept twice in a row is right, too.
        adding, added, told, clears = Signal.like(turn), Signal.like(swept), Signal(), Signal()
        total, answer = Signal(COLUMN_BITS), Signal(COLUMN_BITS)
        m.d.sync += [adding.eq(turn), added.eq(Mux(cleared, 0, swept)), told.eq(asked), clears.eq(cleared)]
        m.d.comb += [
            total.eq(read.data + added),
            read.addr.eq(adding),
            write.addr.eq(adding),
            write.data.eq(Mux(clears, 0, total)),
            write.en.eq(1),
        ]
        answer_q = Signal.like(answer)
        m.d.sync += [answer.eq(Mux(told, total, 0)), answer_q.eq(answer)]
        assert READ_LATENCY == 4
        m.d.comb += self.bus.read_data.eq(answer_q)
        return m


class Registers(wiring.Component):
    """Registers that the host sets.

    Members
    -------
    values : array of ``Out(32)``, by :class:`Register`, one a phase
    bus : ``In(BusSignature())``
        Space REGISTER.
    """

    def __init__(self, config: ArrayConfig):
        count = spaces(config)[Space.REGISTER].depth
        super().__init__({"values": Out(COLUMN_BITS).array(count), "bus": In(BusSignature())})

    def elaborate(self, platform):
        m = Module()
        values = list(self.values)
        written = answer(m, self.bus, Space.REGISTER, values)
        for register, value in enumerate(values):
            with m.If(written & (self.bus.address == register)):
                m.d.sync += value.eq(self.bus.data)
        return m
