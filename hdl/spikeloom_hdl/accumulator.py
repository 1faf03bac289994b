"""One read-modify-write pipeline: weights are added to the sums of coming ticks, and the sums of this tick drained."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.ring import Space, spaces

from .arithmetic import OrAdd
from .bus import BusSignature, share
from .copies import copied
from .loops import visit_layout
from .memory import RingMemory
from .stage import RigidPipeline

LANES_A_COPY = 32
"""Lanes that share a register of what they are to do, where sums are in LUT RAM."""


def ahead(core: CoreConfig) -> int:
    """Cycles from the news that a row is due to its sums: as long as the neuron unit takes to its states."""
    return 1 if core.short else 3


class Accumulator(wiring.Component):
    """Adds a word of weights to a row of sums each cycle, or drains a row: read it and leave zeros.

    ::

        cycle 0      issue     a visit                      -> WORD_ROW (2 cycles)
              1      join      or a drain, for which the cycle before was kept free
              2                its row
              3      locate    which row of which slot, and whether an operation in front adds there, too
              4      read                               -> ACCUMULATOR (L cycles)
              4 + L  select    the RAM's row, or an older result that the RAM has not got yet
              5 + L  add       newest sums + weights; those of a drained row leave on ``sums``
              6 + L  write     ACCUMULATOR

    That a row is ``due`` is told :func:`ahead` cycles before its sums, in 2 + L.

    L is ``sums_latency``. WEIGHT is asked so that its answer (2 cycles) is there in ``select``, with payloads a cycle
    earlier, to be multiplied. Another pipeline between the same ports is :class:`.accumulator_short.ShortAccumulator`.

    What is read lacks the writes of the L + 2 operations in front, so these are forwarded: hits on one row in
    consecutive cycles are exact. Which of them is hit is known in cycle 4 already. So what is not wanted is made zero
    where that costs nothing, by the reset of a register or by the RAM, and the sources are ored: nothing but one such
    gate lies between the RAM and a register.

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
    due, due_row : ``Out(...)``
        A drained row, ``drain_latency`` (1 + L) cycles after ``drain``.
    sums_valid, sums : ``Out(...)``
        Its sums, :func:`ahead` cycles later.
    clear : ``In(1)``, clear_address : ``In(...)``
        Write zeros at an address, only while idle.
    idle : ``Out(1)``
        Nothing is under way in here.
    bus : ``In(BusSignature())``
        Spaces WEIGHT, WORD_ROW, ACCUMULATOR.
    """

    def __init__(self, config: ArrayConfig):
        self.config = config
        core = config.core
        self.drain_latency = 0 if core.short else 1 + core.sums_latency
        super().__init__(
            {
                "visits": In(stream.Signature(visit_layout(config))),
                "reserve": In(1),
                "drain": In(1),
                "drain_row": In(core.row_bits),
                "slot": In(core.slot_bits),
                "due": Out(1),
                "due_row": Out(core.row_bits),
                "sums_valid": Out(1),
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
        m.submodules.weights = weights = RingMemory(Space.WEIGHT, geometry[Space.WEIGHT], ahead=not core.short)
        m.submodules.sums_ram = sums = RingMemory(Space.ACCUMULATOR, geometry[Space.ACCUMULATOR], ahead=not core.short)
        memories = [weights, sums]
        word_rows = RingMemory(Space.WORD_ROW, geometry[Space.WORD_ROW]) if core.sparse else None
        if word_rows is not None:
            m.submodules.word_rows = word_rows
            memories.append(word_rows)
            m.d.comb += [word_rows.address.eq(self.visits.p.word), word_rows.enable.eq(1)]
        share(m, self.bus, [memory.bus for memory in memories])
        m.d.comb += [weights.enable.eq(1), sums.enable.eq(1), self.visits.ready.eq(~self.reserve)]
        stored = data.View(weights.data.shape(), weights.data.as_value())
        lanes = [self._weight(stored[lane].weight) for lane in range(core.lanes)]
        pipe = RigidPipeline(m, "stage")
        self._issue(pipe)
        self._pipeline(m, platform, pipe, weights, lanes, sums, word_rows)
        return m

    def _issue(self, pipe: RigidPipeline) -> None:
        """The visit of this cycle."""
        visit = self.visits.p
        pipe.set(
            visit=self.visits.valid & self.visits.ready,
            row=visit.row,
            slot=(self.slot + visit.delay)[: self.config.core.slot_bits],
            sparse=visit.sparse,
            word=visit.word,
            **({"payload": visit.payload} if self.config.payload_bits else {}),
        )

    def _pipeline(
        self, m: Module, platform: Any, pipe: RigidPipeline, weights: RingMemory, lanes: list[Value], sums: RingMemory,
        word_rows: RingMemory | None,
    ) -> None:  # fmt: skip
        """What follows ``issue``; ``lanes`` are the values that ``weights`` gives."""
        core, payloads = self.config.core, self.config.payload_bits > 0
        active: list[Value] = []
        latency = core.sums_latency
        select = 4 + latency

        def step() -> None:
            """On to the next cycle; what has to do with weights falls into different ones."""
            if pipe.stage == select - weights.geometry.latency - payloads - 1:
                m.d.comb += weights.address.eq(pipe["word"])
                pipe.drop("word")
            if payloads and pipe.stage == select - 1:  # an event counts as often as its payload says
                product = signed(len(lanes[0]) + self.config.payload_bits)
                for n, lane in enumerate(lanes):
                    lanes[n] = Signal(product, name=f"product{n}")
                    m.d.sync += lanes[n].eq(lane * pipe["payload"])
                pipe.drop("payload")
            pipe.step()
            active.append(pipe["visit"] | pipe["drain"])
            if pipe.stage == select + 1 - ahead(core):
                m.d.comb += [self.due.eq(pipe["drain"]), self.due_row.eq(pipe["row"])]

        def by_lane(value: Value, name: str) -> list[Value]:
            """A register of it for each lane; a few lanes share one."""
            return copied(m, value, core.lanes, LANES_A_COPY, platform, name)

        pipe.set(drain=Const(0))
        step()

        # join
        pipe.set(
            drain=self.drain,
            row=Mux(self.drain, self.drain_row, pipe["row"]),
            slot=Mux(self.drain, self.slot, pipe["slot"]),
            sparse=pipe["sparse"] & ~self.drain,
        )
        step()
        if word_rows is not None:
            pipe.set(row=Mux(pipe["sparse"], word_rows.data.row, pipe["row"]))
        pipe.drop("sparse")
        step()

        # locate: where this operation adds, and whether one of those in front of it adds there, too
        behind = latency + 2  # operations that have not been written when this one reads
        address = Signal(core.slot_bits + core.row_bits)
        m.d.comb += [address.eq(Cat(pipe["row"], pipe["slot"])), sums.address.eq(address)]
        in_front = [Signal.like(address, name=f"ahead{n}") for n in range(behind + 1)]
        ahead_active = [Signal(name=f"ahead_active{n}") for n in range(behind + 1)]
        same = [Signal(name=f"same{n}") for n in range(behind)]
        hit = [Signal(name=f"hit{n}") for n in range(behind)]
        any_hit = Signal()
        oldest = Mux(self.clear, self.clear_address, in_front[behind - 1])
        oldest_active = ahead_active[behind - 1] | self.clear
        m.d.sync += [
            Cat(in_front).eq(Cat(address, in_front[: behind - 1], oldest)),
            Cat(ahead_active).eq(Cat(active[-1], ahead_active[: behind - 1], oldest_active)),
            any_hit.eq(Cat(same).any()),
        ]
        for n in range(behind):
            m.d.comb += same[n].eq(ahead_active[n] & (in_front[n] == address))
            m.d.sync += hit[n].eq(same[n] & ~Cat(same[:n]).any())  # the newest one counts
        pipe.drop("slot")
        # With sums in LUT RAM cores are wide: what says what a lane does in the next cycles is near it.
        wide = latency == 0
        drains = by_lane(pipe["drain"], "lanes_drain") if wide else []
        step()

        # read
        m.d.comb += sums.zero.eq(Const(0) if wide else any_hit)
        row_shape, sum_bits = self.sums.shape(), core.numerics.accumulator_bits
        total = Signal(row_shape)  # of the cycle of add
        result = Signal(row_shape)  # a cycle later: zeros, unless a visit is there
        adds = Signal()  # a visit adds in this cycle
        pipe.set(hit=Cat(hit))
        present = Signal(row_shape)
        if wide:
            hits = by_lane(Cat(same).any(), "lanes_hit")
            second = by_lane(same[1] & ~same[0], "lanes_second")
            m.d.sync += [
                present[n].eq(
                    Mux(hits[n], 0, sums.data.as_value().word_select(n, sum_bits)) | Mux(second[n], result[n], 0)
                )
                for n in range(core.lanes)
            ]
        else:
            older = self._older(m, pipe, step, total, result, adds)
            m.d.sync += present.eq(sums.data.as_value() | older)
            drains = [pipe["drain"]] * core.lanes

        # select
        # A drain adds nothing to what it reads.
        weight = [Signal.like(lane, name=f"added{n}") for n, lane in enumerate(lanes)]
        m.d.sync += [weight[n].eq(Mux(drains[n], 0, lane)) for n, lane in enumerate(lanes)]
        follows = pipe["hit"][0]
        adding = by_lane(pipe["visit"], "lanes_add") if wide else []
        chained = by_lane(same[0] & pipe["visit"], "lanes_chained") if wide else []
        pipe.drop("hit")
        step()

        # add: the operation right in front did so a cycle ago
        newest = Signal(row_shape)
        adders = [OrAdd(core.numerics.accumulator_bits, len(added)) for added in weight]
        for n, adder in enumerate(adders):
            m.submodules[f"adder{n}"] = adder
            m.d.comb += [adder.a.eq(present[n]), adder.b.eq(newest[n]), adder.c.eq(weight[n])]
        m.d.comb += [total.eq(Cat(adder.total for adder in adders)), adds.eq(pipe["visit"])]
        if wide:
            for n in range(core.lanes):
                m.d.sync += [newest[n].eq(Mux(chained[n], total[n], 0)), result[n].eq(Mux(adding[n], total[n], 0))]
        else:
            m.d.sync += [newest.eq(Mux(follows & adds, total, 0)), result.eq(Mux(adds, total, 0))]
        m.d.comb += [self.sums_valid.eq(pipe["drain"]), self.sums.eq(total)]

        # write; at rest the result is zero. A memory of latency 0 has registers of its own for the address.
        m.d.comb += [
            sums.write_enable.eq(ahead_active[-1] if latency else oldest_active),
            sums.write_address.eq(in_front[-1] if latency else oldest),
            sums.write_data.eq(result),
        ]
        m.d.comb += self.idle.eq(~Cat(active, ahead_active[-1]).any())

    def _older(self, m: Module, pipe: RigidPipeline, step, total: Value, result: Value, adds: Value) -> Value:
        """Steps on to ``select``; the result that is wanted of the second operation in front or of an older one.

        Each is taken when it is in the cycle of ``add`` (``total``) or the one behind (``result``), and kept.
        """
        latency = self.config.core.sums_latency
        second, third, fourth, kept = (Signal(self.sums.shape(), name=f"from{n}") for n in (2, 3, 4, 5))
        if latency == 2:
            m.d.sync += [fourth.eq(Mux(pipe["hit"][3], result, 0)), kept.eq(fourth)]
            step()
        hit = pipe["hit"]
        m.d.sync += [second.eq(Mux(hit[1] & adds, total, 0)), third.eq(Mux(hit[2], result, 0))]
        step()
        return second.as_value() | third.as_value() | (kept.as_value() if latency == 2 else 0)

    def _weight(self, stored: Value) -> Value:
        """The value of a stored weight; a single bit stands for plus or minus one."""
        if self.config.core.numerics.weight_bits > 1:
            return stored
        return Cat(C(1, 1), stored).as_signed()
