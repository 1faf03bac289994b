"""One read-modify-write pipeline: weights are added to the sums of coming ticks, and the sums of this tick drained."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.ring import Space, spaces

from .bus import BusSignature, share
from .loops import visit_layout
from .memory import RingMemory
from .stage import RigidPipeline


class Accumulator(wiring.Component):
    """Adds a word of weights to a row of sums each cycle, or drains a row: read it and leave zeros.

    ::

        cycle 0  issue     a drain, else a visit
              1  read      its word                       -> WEIGHT, WORD_ROW (2 cycles)
              3  locate    which row of which slot        -> ACCUMULATOR read (1 cycle)
              4  select    the RAM's row, or an older result that the RAM has not got yet
              5  add       newest sums + weights; a drained row leaves on ``sums`` as registers of cycle 6
              6  write     ACCUMULATOR

    The RAM's answer of cycle 4 lacks the writes of the three operations in front, so these are forwarded: hits
    on one row in consecutive cycles are exact. Which of them is hit is known in cycle 3 already. So what is not
    wanted is made zero where that costs nothing, by the reset of a register or of the RAM's output, and the
    sources are ored: nothing but one such gate lies between the RAM and a register.

    Members
    -------
    visits : ``In(stream(visit))``
        ``ready`` in every cycle without a drain.
    drain : ``In(1)``, drain_row : ``In(row_bits)``
        Drain this row of the current slot; always taken.
    slot : ``In(slot_bits)``
        The slot of the current tick; a visit adds to this plus its delay.
    sums_valid, sums_row, sums : ``Out(...)``
        A drained row, ``drain_latency`` cycles (6, with payloads 7) after ``drain``: ``sums_valid`` for one cycle, the
        others until the next one.
    clear : ``In(1)``, clear_address : ``In(...)``
        Write zeros at an address, only while idle.
    idle : ``Out(1)``
        Nothing is under way in here.
    bus : ``In(BusSignature())``
        Spaces WEIGHT, WORD_ROW, ACCUMULATOR.
    """

    DRAIN_LATENCY = 6
    """Without payloads; those take one more."""

    def __init__(self, config: ArrayConfig):
        self.config = config
        self.drain_latency = self.DRAIN_LATENCY + (config.payload_bits > 0)
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
        m.d.comb += self.visits.ready.eq(~self.drain)
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
            word=visit.word,
            **({"payload": visit.payload} if self.config.payload_bits else {}),
        )
        busy = [pipe["visit"], pipe["drain"]]
        pipe.step()
        busy += [pipe["visit"], pipe["drain"]]

        # read: the weights lie far apart, so their address comes from a register of its own
        m.d.comb += [weights.address.eq(pipe["word"]), weights.enable.eq(1)]
        if core.sparse:
            m.d.comb += [word_rows.address.eq(pipe["word"]), word_rows.enable.eq(1)]
        pipe.drop("word")
        for _ in range(weights.latency):
            pipe.step()
            busy += [pipe["visit"], pipe["drain"]]

        stored = data.View(weights.data.shape(), weights.data.as_value())
        lanes = [self._weight(stored[lane].weight) for lane in range(core.lanes)]
        row = Mux(pipe["sparse"], word_rows.data.row, pipe["row"]) if core.sparse else pipe["row"]
        pipe.drop("sparse")
        if self.config.payload_bits:
            # multiply: an event counts as often as its payload says
            wide = signed(len(lanes[0]) + self.config.payload_bits + 1)
            products = [Signal(wide, name=f"product{n}") for n in range(core.lanes)]
            m.d.sync += [product.eq(lane * pipe["payload"]) for product, lane in zip(products, lanes, strict=True)]
            pipe.drop("payload")
            pipe.set(row=row)
            pipe.step()
            busy += [pipe["visit"], pipe["drain"]]
            row, lanes = pipe["row"], products

        # locate: where this operation adds, and whether one of the three in front of it adds there, too
        address = Signal(core.slot_bits + core.row_bits)
        m.d.comb += [address.eq(Cat(row, pipe["slot"])), sums.address.eq(address), sums.enable.eq(1)]
        ahead = [Signal.like(address, name=f"ahead{n}") for n in range(3)]
        ahead_valid = [Signal(name=f"ahead_valid{n}") for n in range(3)]
        same = [Signal(name=f"same{n}") for n in range(3)]
        hit = [Signal(name=f"hit{n}") for n in range(3)]
        for n in range(3):
            m.d.comb += same[n].eq(ahead_valid[n] & (ahead[n] == address))
            m.d.comb += hit[n].eq(same[n] & ~Cat(same[:n]).any())  # the newest one counts
        m.d.comb += sums.zero.eq(Cat(same).any())
        m.d.sync += [
            Cat(ahead).eq(Cat(address, ahead[:2])),
            Cat(ahead_valid).eq(Cat(pipe["visit"] | pipe["drain"], ahead_valid[:2])),
        ]
        row_shape = self.sums.shape()
        total = Signal(row_shape)  # of cycle 5
        result = Signal(row_shape)  # of cycle 6: zeros, unless a visit is there
        oldest = Signal(row_shape)
        m.d.sync += oldest.eq(Mux(hit[2], result, 0))
        pipe.set(row=row, newest=hit[0], second=hit[1], **{f"weight{n}": lane for n, lane in enumerate(lanes)})
        pipe.drop("slot")
        pipe.step()
        busy += [pipe["visit"], pipe["drain"]]

        # select: the result of the second operation in front is there now, the one of the third has been kept
        present = Signal(row_shape)
        second = Mux(pipe["second"], result.as_value(), 0)
        m.d.sync += present.eq(sums.data.as_value() | oldest.as_value() | second)
        # A drain adds nothing to what it reads.
        weight = [Signal.like(lane, name=f"added{n}") for n, lane in enumerate(lanes)]
        for n in range(core.lanes):
            m.d.sync += weight[n].eq(Mux(pipe["drain"], 0, pipe[f"weight{n}"]))
        # The operation right in front adds in this cycle: its result is wanted, or not.
        newest = Signal(row_shape)
        follows = pipe["newest"]
        pipe.drop("newest", "second", *(f"weight{n}" for n in range(core.lanes)))
        pipe.step()
        busy += [pipe["visit"], pipe["drain"]]
        m.d.sync += newest.eq(Mux(follows & pipe["visit"], total, 0))

        # add
        for lane in range(core.lanes):
            m.d.comb += total[lane].eq((present[lane] | newest[lane]) + weight[lane])
        m.d.sync += [
            result.eq(Mux(pipe["visit"], total, 0)),
            self.sums_valid.eq(pipe["drain"]),
        ]
        with m.If(pipe["drain"]):
            m.d.sync += [self.sums_row.eq(pipe["row"]), self.sums.eq(total)]

        # write; at rest the result is zero
        written = Signal()
        m.d.sync += written.eq(pipe["visit"] | pipe["drain"])
        m.d.comb += [
            sums.write_enable.eq(written | self.clear),
            sums.write_address.eq(Mux(self.clear, self.clear_address, ahead[2])),
            sums.write_data.eq(result),
        ]
        m.d.comb += self.idle.eq(~Cat(busy, written).any())
        return m

    def _weight(self, stored: Value) -> Value:
        """The value of a stored weight; a single bit stands for plus or minus one."""
        if self.config.core.numerics.weight_bits > 1:
            return stored
        return Cat(C(1, 1), stored).as_signed()
