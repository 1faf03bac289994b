"""Counters and registers of a core, on the bus."""

from collections.abc import Sequence
from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from spikeloom.contract.layout import COLUMN_BITS
from spikeloom.contract.ring import Counter, Space

from . import memories
from .bus import BusSignature, read_latency
from .memories.ebr import Ebr

SWEEP = 20
"""Cycles between two sweeps of a counter, at most: the bus comes between once in four cycles."""


def answer(m: Module, platform: Any, bus: wiring.PureInterface, space: Space, values: list[Value]) -> Value:
    """Answer reads of a space made of registers; returns whether this cycle writes to it."""
    hit = bus.valid & (bus.space == space)
    word = Mux(
        hit & ~bus.write & (bus.address < len(values)), Array(values)[bus.address[: len(values).bit_length()]], 0
    )
    for stage in range(read_latency(platform)):
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
        assert len(most) == len(Counter) <= min(15, SWEEP * 3 // 4)
        self.most = tuple(most)
        steps = {f"step{n}": In(range(limit + 1)) for n, limit in enumerate(most)}
        super().__init__({**steps, "bus": In(BusSignature())})

    @property
    def step(self) -> list[Value]:
        return [getattr(self, f"step{n}") for n in range(len(self.most))]

    def elaborate(self, platform):
        m = Module()
        count = len(Counter)
        # Whose turn it is: the next one's, or the one's that the bus is asking for; then one bit a counter.
        asking, next_turn = Signal(range(count)), Signal(range(count))
        hit, reads, writes = Signal(), Signal(), Signal()
        m.d.comb += hit.eq(self.bus.valid & (self.bus.space == Space.COUNTER))
        m.d.sync += [reads.eq(hit & ~self.bus.write), writes.eq(hit & self.bus.write)]
        m.d.sync += asking.eq(Mux(hit, self.bus.address[: len(asking)], next_turn))
        with m.If(~hit):
            m.d.sync += next_turn.eq(Mux(next_turn == count - 1, 0, next_turn + 1))
        turn, chosen = Signal.like(asking), Signal(count)
        asked, cleared = Signal(), Signal()
        m.d.sync += [turn.eq(asking), chosen.eq(1 << asking), asked.eq(reads), cleared.eq(writes)]

        swept = Const(0)
        for n, (limit, step) in enumerate(zip(self.most, self.step, strict=True)):
            narrow = Signal(range(limit * SWEEP + 1), name=f"narrow{n}")
            if limit == 1:
                self._count(m, narrow, chosen[n], step)
            else:
                m.d.sync += narrow.eq(Mux(chosen[n], 0, narrow) + step)
            swept = swept | Mux(chosen[n], narrow, 0)
        # The adder is a cycle behind, and its RAM with it: a counter that is swept twice in a row is right, too.
        # What clears a counter adds nothing to the total of the last one, which there is none of: it stays zero.
        adding, added, told = Signal.like(turn), Signal.like(swept), Signal()
        source, read_from = Signal.like(turn), Signal.like(turn)
        total, answer = Signal(COLUMN_BITS), Signal(COLUMN_BITS)
        m.d.comb += source.eq(turn | cleared.replicate(len(turn)))
        m.d.sync += [adding.eq(turn), read_from.eq(source), added.eq(Mux(cleared, 0, swept)), told.eq(asked)]
        m.d.comb += total.eq(self._totals(m, platform, source, read_from, adding, total) + added)
        told_total = Mux(told, total, 0)
        if read_latency(platform) == 4:
            m.d.sync += answer.eq(told_total)
        else:
            m.d.comb += answer.eq(told_total)
        m.d.comb += self.bus.read_data.eq(answer)
        return m

    def _count(self, m: Module, narrow: Signal, chosen: Value, step: Value) -> None:
        """One more where there is a step, from zero on where it is swept; narrower than a carry chain can be."""
        up = narrow ^ Cat(step, *(step & narrow[:bit].all() for bit in range(1, len(narrow))))
        m.d.sync += [narrow[0].eq(Mux(chosen, step, up[0])), narrow[1:].eq(Mux(chosen, 0, up[1:]))]

    def _totals(self, m: Module, platform, following: Value, source: Value, address: Value, data: Value) -> Value:
        """The wide counters: one is read at ``source`` and written at ``address`` in each cycle.

        ``following`` is the next cycle's ``source``.
        """
        if memories.family_of(platform) != "ice40":
            m.submodules.totals = totals = Memory(shape=COLUMN_BITS, depth=16, init=[])
            write, read = totals.write_port(), totals.read_port(domain="comb")
            m.d.comb += [read.addr.eq(source), write.addr.eq(address), write.data.eq(data), write.en.eq(1)]
            return read.data
        # No RAM of this chip answers at once. Block RAM has not got a total yet that was written a cycle ago.
        again, last = Signal(), Signal(COLUMN_BITS)
        m.d.sync += [again.eq(following == address), last.eq(data)]
        halves = []
        for low in (0, 16):
            ram = Ebr(16)
            m.submodules[f"totals{low}"] = ram
            m.d.comb += [
                ram.address.eq(following),
                ram.enable.eq(1),
                ram.write.eq(1),
                ram.write_address.eq(address),
                ram.write_data.eq(data[low : low + 16]),
            ]
            halves.append(ram.data)
        return Mux(again, last, Cat(halves))


class Registers(wiring.Component):
    """Registers that the host sets.

    Parameters
    ----------
    bits : sequence of int
        How many bits of each register are kept; the others read as zeros.

    Members
    -------
    values : array of ``Out(32)``
        From :class:`Register` on: the rows of each phase.
    bus : ``In(BusSignature())``
        Space REGISTER.
    """

    def __init__(self, bits: Sequence[int]):
        self.bits = tuple(bits)
        super().__init__({"values": Out(COLUMN_BITS).array(len(self.bits)), "bus": In(BusSignature())})

    def elaborate(self, platform):
        m = Module()
        values = list(self.values)
        written = answer(m, platform, self.bus, Space.REGISTER, values)
        for register, (value, bits) in enumerate(zip(values, self.bits, strict=True)):
            with m.If(written & (self.bus.address == register)):
                m.d.sync += value.eq(self.bus.data[:bits])
        return m
