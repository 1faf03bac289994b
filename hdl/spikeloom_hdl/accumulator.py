"""One read-modify-write pipeline: weights are added to the sums of coming ticks, and the sums of this tick drained."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.ring import Space, spaces

from .adder import OrAdd
from .bus import BusSignature, share
from .loops import visit_layout
from .memory import RingMemory
from .stage import RigidPipeline


class Accumulator(wiring.Component):
    """Adds a word of weights to a row of sums each cycle, or drains a row: read it and leave zeros.

    ::

        cycle 0  issue     a visit                      -> WORD_ROW (2 cycles, of cycle 1)
              1  join      or a drain, for which the cycle before was kept free
              2  fetch     its word                     -> WEIGHT (2 cycles, of cycle 3; with payloads of cycle 2)
              3  locate    which row of which slot, and whether an operation in front adds there, too
              4  read                                   -> ACCUMULATOR (1 cycle); with payloads: multiply
              5  select    the RAM's row, or an older result that the RAM has not got yet
              6  add       newest sums + weights; a drained row leaves on ``sums`` as registers of cycle 7
              7  write     ACCUMULATOR

    The RAM's answer of cycle 5 lacks the writes of the three operations in front, so these are forwarded: hits
    on one row in consecutive cycles are exact. Which of them is hit is known in cycle 4 already. So what is not
    wanted is made zero where that costs nothing, by the reset of a register or of the RAM's output, and the
    sources are ored: nothing but one such gate lies between the RAM and a register.

    Members
    -------
    visits : ``In(stream(visit))``
        ``ready`` in every cycle without ``reserve``.
    reserve : ``In(1)``
        A drain may follow in the next cycle: no visit is taken in this one.
    drain : ``In(1)``, drain_row : ``In(row_bits)``
        Drain this row of the current slot; always taken, in the place of the cycle before, in which no visit was taken.
    slot : ``In(slot_bits)``
        The slot of the current tick; a visit adds to this plus its delay.
    sums_valid, sums_row, sums : ``Out(...)``
        A drained row, ``DRAIN_LATENCY`` (6) cycles after ``drain``: ``sums_valid`` for one cycle, the others until the
        next one.
    clear : ``In(1)``, clear_address : ``In(...)``
        Write zeros at an address, only while idle.
    idle : ``Out(1)``
        Nothing is under way in here.
    bus : ``In(BusSignature())``
        Spaces WEIGHT, WORD_ROW, ACCUMULATOR.
    """

    DRAIN_LATENCY = 6

    def __init__(self, config: ArrayConfig):
        self.config = config
        core = config.core
        super().__init__(
            {
                "visits": In(stream.Signature(visit_layout(config))),
                "reserve": In(1),
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
        core, payloads = self.config.core, self.config.payload_bits > 0
        geometry = spaces(self.config)
        m.submodules.weights = weights = RingMemory(Space.WEIGHT, geometry[Space.WEIGHT], latency=2)
        m.submodules.sums_ram = sums = RingMemory(Space.ACCUMULATOR, geometry[Space.ACCUMULATOR], writable=True)
        memories = [weights, sums]
        if core.sparse:
            m.submodules.word_rows = word_rows = RingMemory(Space.WORD_ROW, geometry[Space.WORD_ROW], latency=2)
            memories.append(word_rows)
        share(m, self.bus, [memory.bus for memory in memories])
        m.d.comb += weights.enable.eq(1)

        pipe = RigidPipeline(m, "stage")
        active: list[Value] = []

        def step() -> None:
            pipe.step()
            active.append(pipe["visit"] | pipe["drain"])

        # issue
        visit = self.visits.p
        m.d.comb += self.visits.ready.eq(~self.reserve)
        pipe.set(
            visit=self.visits.valid & self.visits.ready,
            drain=Const(0),
            row=visit.row,
            slot=(self.slot + visit.delay)[: core.slot_bits],
            sparse=visit.sparse,
            word=visit.word,
            **({"payload": visit.payload} if payloads else {}),
        )
        step()

        # join: the memories lie far apart, so their addresses come from registers of their own
        if core.sparse:
            m.d.comb += [word_rows.address.eq(pipe["word"]), word_rows.enable.eq(1)]
        pipe.set(
            drain=self.drain,
            row=Mux(self.drain, self.drain_row, pipe["row"]),
            slot=Mux(self.drain, self.slot, pipe["slot"]),
            sparse=pipe["sparse"] & ~self.drain,
        )
        step()

        # fetch
        if payloads:
            m.d.comb += weights.address.eq(pipe["word"])
        step()
        if not payloads:
            m.d.comb += weights.address.eq(pipe["word"])
        pipe.drop("word")

        # locate: where this operation adds, and whether one of the three in front of it adds there, too
        row = Mux(pipe["sparse"], word_rows.data.row, pipe["row"]) if core.sparse else pipe["row"]
        address = Signal(core.slot_bits + core.row_bits)
        m.d.comb += address.eq(Cat(row, pipe["slot"]))
        ahead = [Signal.like(address, name=f"ahead{n}") for n in range(4)]
        ahead_active = [Signal(name=f"ahead_active{n}") for n in range(4)]
        same = [Signal(name=f"same{n}") for n in range(3)]
        m.d.sync += [
            Cat(ahead).eq(Cat(address, ahead[:-1])),
            Cat(ahead_active).eq(Cat(active[-1], ahead_active[:-1])),
        ]
        for n in range(3):
            m.d.sync += same[n].eq(ahead_active[n] & (ahead[n] == address))
        pipe.set(row=row)
        pipe.drop("slot", "sparse")
        step()

        # read
        hit = [Signal(name=f"hit{n}") for n in range(3)]
        for n in range(3):
            m.d.comb += hit[n].eq(same[n] & ~Cat(same[:n]).any())  # the newest one counts
        m.d.comb += [sums.address.eq(ahead[0]), sums.enable.eq(1), sums.zero.eq(Cat(same).any())]
        row_shape = self.sums.shape()
        result = Signal(row_shape)  # of cycle 7: zeros, unless a visit is there
        oldest = Signal(row_shape)
        m.d.sync += oldest.eq(Mux(hit[2], result, 0))
        stored = data.View(weights.data.shape(), weights.data.as_value())
        lanes = [self._weight(stored[lane].weight) for lane in range(core.lanes)]
        if payloads:  # an event counts as often as its payload says
            wide = signed(len(lanes[0]) + self.config.payload_bits + 1)
            products = [Signal(wide, name=f"product{n}") for n in range(core.lanes)]
            m.d.sync += [product.eq(lane * pipe["payload"]) for product, lane in zip(products, lanes, strict=True)]
            pipe.drop("payload")
            lanes = products
        pipe.set(newest=hit[0], second=hit[1])
        step()

        # select: the result of the second operation in front is there now, the one of the third has been kept
        present = Signal(row_shape)
        second = Mux(pipe["second"], result.as_value(), 0)
        m.d.sync += present.eq(sums.data.as_value() | oldest.as_value() | second)
        # A drain adds nothing to what it reads.
        weight = [Signal.like(lane, name=f"added{n}") for n, lane in enumerate(lanes)]
        m.d.sync += [added.eq(Mux(pipe["drain"], 0, lane)) for added, lane in zip(weight, lanes, strict=True)]
        # The operation right in front adds in this cycle: its result is wanted, or not.
        newest = Signal(row_shape)
        follows = pipe["newest"]
        pipe.drop("newest", "second")
        step()

        # add
        adders = [OrAdd(core.numerics.accumulator_bits, len(added)) for added in weight]
        for n, adder in enumerate(adders):
            m.submodules[f"adder{n}"] = adder
            m.d.comb += [adder.a.eq(present[n]), adder.b.eq(newest[n]), adder.c.eq(weight[n])]
        total = Cat(adder.total for adder in adders)
        m.d.sync += [
            newest.eq(Mux(follows & pipe["visit"], total, 0)),
            result.eq(Mux(pipe["visit"], total, 0)),
            self.sums_valid.eq(pipe["drain"]),
        ]
        with m.If(pipe["drain"]):
            m.d.sync += [self.sums_row.eq(pipe["row"]), self.sums.eq(total)]

        # write; at rest the result is zero
        m.d.comb += [
            sums.write_enable.eq(ahead_active[3] | self.clear),
            sums.write_address.eq(Mux(self.clear, self.clear_address, ahead[3])),
            sums.write_data.eq(result),
        ]
        m.d.comb += self.idle.eq(~Cat(active, ahead_active[3]).any())
        return m

    def _weight(self, stored: Value) -> Value:
        """The value of a stored weight; a single bit stands for plus or minus one."""
        if self.config.core.numerics.weight_bits > 1:
            return stored
        return Cat(C(1, 1), stored).as_signed()
