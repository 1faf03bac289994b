"""One read-modify-write pipeline: weights are added to the sums of coming ticks, and the sums of this tick drained."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.ring import Space, spaces

from .bus import BusSignature, share
from .memory import RingMemory
from .stage import RigidPipeline
from .walker import visit_layout


class Accumulator(wiring.Component):
    """Adds a word of weights to a row of sums each cycle, or drains a row: read it and leave zeros.

    ::

        cycle 0  issue     a drain, else a visit          -> WEIGHT, WORD_ROW (2 cycles)
              2  locate    which row of which slot        -> ACCUMULATOR read (1 cycle)
              3  add       newest sums + weights; a drained row leaves on ``sums`` as registers of cycle 4
              4  write     ACCUMULATOR

    The RAM's answer of cycle 3 lacks the writes of the two operations in front, so these are forwarded: hits
    on one row in consecutive cycles are exact.

    Members
    -------
    visits : ``In(stream(visit))``
        ``ready`` in every cycle without a drain.
    drain : ``In(1)``, drain_row : ``In(row_bits)``
        Drain this row of the current slot; always taken.
    slot : ``In(slot_bits)``
        The slot of the current tick; a visit adds to this plus its delay.
    sums_valid, sums_row, sums : ``Out(...)``
        A drained row, 4 cycles after ``drain``, for one cycle.
    clear : ``In(1)``, clear_address : ``In(...)``
        Write zeros at an address, only while idle.
    idle : ``Out(1)``
        Nothing is under way in here.
    bus : ``In(BusSignature())``
        Spaces WEIGHT, WORD_ROW, ACCUMULATOR.
    """

    DRAIN_LATENCY = 4

    def __init__(self, config: ArrayConfig):
        self.config = config
        core = config.core
        super().__init__(
            {
                "visits": In(stream.Signature(visit_layout(config))),
                "drain": In(1),
                "drain_row": In(core.row_bits),
                "slot": In(core.slot_bits),
                "sums_valid": Out(1),
                "sums_row": Out(core.row_bits),
                "sums": Out(data.ArrayLayout(signed(core.numerics.accumulator_bits), core.lanes)),
                "clear": In(1),
                "clear_address": In(core.slot_bits + core.row_bits),
                "idle": Out(1),
                "bus": In(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        core = self.config.core
        geometry = spaces(self.config)
        m.submodules.weights = weights = RingMemory(Space.WEIGHT, geometry[Space.WEIGHT], latency=2)
        m.submodules.sums_ram = sums = RingMemory(Space.ACCUMULATOR, geometry[Space.ACCUMULATOR], writable=True)
        memories = [weights, sums]
        if core.sparse:
            m.submodules.word_rows = word_rows = RingMemory(Space.WORD_ROW, geometry[Space.WORD_ROW], latency=2)
            memories.append(word_rows)
        share(m, self.bus, [memory.bus for memory in memories])

        # issue
        visit = self.visits.p
        pipe = RigidPipeline(m, "stage")
        m.d.comb += [
            self.visits.ready.eq(~self.drain),
            weights.address.eq(visit.word),
            weights.enable.eq(1),
        ]
        if core.sparse:
            m.d.comb += [word_rows.address.eq(visit.word), word_rows.enable.eq(1)]
        visited = Signal()
        slot = Signal(core.slot_bits)
        m.d.comb += [
            visited.eq(self.visits.valid & self.visits.ready),
            slot.eq(self.slot + Mux(self.drain, 0, visit.delay)),
        ]
        pipe.set(
            visit=visited,
            drain=self.drain,
            row=Mux(self.drain, self.drain_row, visit.row),
            slot=slot,
            sparse=visit.sparse & ~self.drain,
        )
        busy = [pipe["visit"], pipe["drain"]]
        for _ in range(2):
            pipe.step()
            busy += [pipe["visit"], pipe["drain"]]

        # locate
        row = Mux(pipe["sparse"], word_rows.data.row, pipe["row"]) if core.sparse else pipe["row"]
        m.d.comb += [sums.address.eq(Cat(row, pipe["slot"])), sums.enable.eq(1)]
        pipe.set(row=row, weights=weights.data.as_value())
        pipe.drop("sparse")
        pipe.step()
        busy += [pipe["visit"], pipe["drain"]]

        # add: the RAM's row, or what the operation one (or two) in front has made of it
        address = Signal(core.slot_bits + core.row_bits)
        m.d.comb += address.eq(Cat(pipe["row"], pipe["slot"]))
        row_shape = self.sums.shape()
        written = [Signal(row_shape, name=f"written{n}") for n in range(2)]
        written_address = [Signal.like(address, name=f"written_address{n}") for n in range(2)]
        written_valid = [Signal(name=f"written_valid{n}") for n in range(2)]
        present = Signal(row_shape)
        same = [Signal(name=f"same{n}") for n in range(2)]
        for n in range(2):
            m.d.comb += same[n].eq(written_valid[n] & (written_address[n] == address))
        m.d.comb += present.eq(Mux(same[0], written[0], Mux(same[1], written[1], sums.data)))
        word = data.View(weights.data.shape(), pipe["weights"])
        for lane in range(core.lanes):
            m.d.sync += written[0][lane].eq(Mux(pipe["drain"], 0, present[lane] + self._weight(word[lane].weight)))
        m.d.sync += [
            written_address[0].eq(address),
            written_valid[0].eq(pipe["visit"] | pipe["drain"]),
            written[1].eq(written[0]),
            written_address[1].eq(written_address[0]),
            written_valid[1].eq(written_valid[0]),
            self.sums_valid.eq(pipe["drain"]),
        ]
        with m.If(pipe["drain"]):
            m.d.sync += [self.sums_row.eq(pipe["row"]), self.sums.eq(present)]

        # write
        m.d.comb += [
            sums.write_enable.eq(written_valid[0] | self.clear),
            sums.write_address.eq(Mux(self.clear, self.clear_address, written_address[0])),
            sums.write_data.eq(Mux(self.clear, 0, written[0].as_value())),
        ]
        m.d.comb += self.idle.eq(~Cat(busy, written_valid[0]).any())
        return m

    def _weight(self, stored: Value) -> Value:
        """The value of a stored weight; a single bit stands for plus or minus one."""
        if self.config.core.numerics.weight_bits > 1:
            return stored
        return Mux(stored, C(-1, signed(2)), C(1, signed(2)))
