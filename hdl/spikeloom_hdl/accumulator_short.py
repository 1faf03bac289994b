"""The accumulator with a third of the registers, for chips that are short of them and have a slow clock."""

from typing import Any

from amaranth import *

from .accumulator import Accumulator
from .memory import RingMemory
from .stage import RigidPipeline


class ShortAccumulator(Accumulator):
    """Between the ports of :class:`.accumulator.Accumulator`, with a RAM of latency 1::

        cycle 0      issue     a visit                      -> WORD_ROW
              1      join      or a drain, for which the cycle before was kept free; it is due
                               which row of which slot      -> ACCUMULATOR, WEIGHT
              2      add       newest sums + weights; those of a drained row leave on ``sums``
              3      write     ACCUMULATOR

    What is read lacks the writes of the two operations in front. The first one's result is in its register by then,
    the second one's is kept when it is wanted: a bit of a lane takes two gates for the choice, a register for what is
    kept, and an adder with its register.
    """

    def _pipeline(
        self, m: Module, platform: Any, pipe: RigidPipeline, weights: RingMemory, lanes: list[Value], sums: RingMemory,
        word_rows: RingMemory | None,
    ) -> None:  # fmt: skip
        core = self.config.core
        pipe.step()
        came = pipe["visit"]

        # join: where this operation adds, and whether one of the two in front of it adds there, too
        row = pipe["row"] if word_rows is None else Mux(pipe["sparse"], word_rows.data.row, pipe["row"])
        address = Signal(core.slot_bits + core.row_bits)
        m.d.comb += [
            address.eq(Cat(Mux(self.drain, self.drain_row, row), Mux(self.drain, self.slot, pipe["slot"]))),
            sums.address.eq(address),
            weights.address.eq(pipe["word"]),
            self.due.eq(self.drain),
            self.due_row.eq(self.drain_row),
        ]
        adding, written = (Signal.like(address, name=name) for name in ("adding", "written"))
        adds, writes = Signal(), Signal()  # that there is an operation
        m.d.sync += [
            adding.eq(address),
            written.eq(Mux(self.clear, self.clear_address, adding)),
            adds.eq(came | self.drain),
            writes.eq(adds | self.clear),
        ]
        first, second = Signal(), Signal()
        m.d.comb += [first.eq(adds & (adding == address)), second.eq(writes & (written == address))]
        shape = self.sums.shape()
        result, kept, present = Signal(shape), Signal(shape), Signal(shape)
        follows, lacks = Signal(), Signal()
        m.d.sync += [follows.eq(first), lacks.eq(first | second), kept.eq(Mux(second, result, 0))]
        pipe.set(drain=self.drain)
        pipe.drop("row", "slot", "sparse", "word")
        pipe.step()

        # add: a drain leaves zeros, and so does a cycle without an operation
        stored = sums.data.as_value()
        m.d.comb += present.eq(Mux(follows, result, Mux(lacks, kept, stored)))
        if self.config.payload_bits:  # an event counts as often as its payload says
            lanes = [lane * pipe["payload"] for lane in lanes]
        totals = Cat((present[n] + lane)[: shape.elem_shape.width] for n, lane in enumerate(lanes))
        m.d.sync += result.eq(Mux(pipe["visit"], totals, 0))
        m.d.comb += [self.sums_valid.eq(pipe["drain"]), self.sums.eq(present)]

        # write
        m.d.comb += [
            sums.write_enable.eq(writes),
            sums.write_address.eq(written),
            sums.write_data.eq(result),
            self.idle.eq(~Cat(came, adds, writes).any()),
        ]
