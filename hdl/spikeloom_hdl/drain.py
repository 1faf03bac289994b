"""When a core drains which row: the rows of a phase, no faster than what lies behind can take them."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig, bits_for
from spikeloom.contract.neuron import LATENCY_BITS, NEVER


class Drain(wiring.Component):
    """Drains the rows in use, phase by phase, a row every ``groups`` cycles while the emitter has room for its spikes.

    A tick begins with phase 0: the slot moves on, the tick counts, and the rows begin with row 0. A later phase goes
    on with the row behind those of the phase before. The first row is drained in the cycle of ``start``; a row that
    waited for a place 3 cycles after that is given back. ``reserve`` is a register: what the accumulator takes in a
    cycle hangs on it, and the whole walker hangs on that.

    A drained row takes a place in the emitter's queue, and gives it back when it fires nobody or leaves the queue.

    Members
    -------
    start : ``In(1)``, phase : ``In(...)``, flush : ``In(6)``
        Begin a phase of a tick, while the core is idle; its number, and that of the flush tick or 0.
    reset_state : ``In(1)``
        The next tick is number 0.
    rows : array of ``In(count_bits)``
        Rows of each phase.
    finished, fired : ``In(1)``
        A row has been updated in this cycle, and somebody in it fired.
    popped : ``In(1)``
        A row has left the emitter's queue.
    reserve : ``Out(1)``
        A row is to be drained in the next cycle. Those that begin a phase come without: no event is under way then.
    drain, row : ``Out(...)``
        Drain this row now.
    stalled : ``Out(1)``
        A row is due, and waits for the emitter.
    busy : ``Out(1)``
        Rows of this phase are still to be drained.
    slot : ``Out(slot_bits)``
        The slot of the current tick.
    tick, flushing : ``Out(6)``
        Ticks since the reset (saturating below NEVER), and ``flush`` as it was at the last start.
    """

    def __init__(self, config: ArrayConfig):
        self.config = config
        core = config.core
        super().__init__(
            {
                "start": In(1),
                "phase": In(bits_for(core.phases)),
                "flush": In(LATENCY_BITS),
                "reset_state": In(1),
                "rows": In(core.count_bits).array(core.phases),
                "finished": In(1),
                "fired": In(1),
                "popped": In(1),
                "reserve": Out(1),
                "drain": Out(1),
                "row": Out(core.row_bits),
                "stalled": Out(1),
                "busy": Out(1),
                "slot": Out(core.slot_bits),
                "tick": Out(LATENCY_BITS),
                "flushing": Out(LATENCY_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        core = self.config.core
        first = self.phase == 0 if core.phases > 1 else Const(1)
        rows = Array(self.rows)[self.phase] if core.phases > 1 else self.rows[0]

        left = Signal(core.count_bits)  # to reserve
        drain, row = Signal(), Signal(core.row_bits)
        following = Signal(core.row_bits)  # the row behind that
        slot = Signal(core.slot_bits, init=core.slots - 1)
        pause = Signal(bits_for(core.groups))
        room = Signal(range(core.spike_fifo + 1), init=core.spike_fifo)
        due, goes, moves = Signal(), Signal(), Signal()
        m.d.comb += [
            due.eq((left != 0) & (pause == 0)),
            goes.eq(due & (room != 0)),
            moves.eq(self.start & first),
            self.stalled.eq(due & (room == 0)),
            self.busy.eq((left != 0) | self.reserve | drain),
        ]
        # What comes so soon after the start that it has to be decided there. While idle all places are free.
        begins, second, third = Signal(), Signal(), Signal()
        m.d.comb += [
            begins.eq(self.start & (rows != 0)),
            second.eq((self.start & (rows > 1)) if core.groups <= 2 else 0),
            third.eq((self.start & (rows > 2)) if core.groups == 1 and core.spike_fifo > 2 else 0),
        ]
        at_once, soon = (second, third) if core.groups == 1 else (Const(0), second)
        first_row = Mux(first, 0, following)
        m.d.comb += [
            self.drain.eq(drain | begins),
            self.row.eq(Mux(self.start, first_row, row)),
            self.slot.eq(slot + moves),
        ]
        given_back = (self.finished & ~self.fired) + self.popped
        m.d.sync += [
            self.reserve.eq(goes | soon),
            drain.eq(self.reserve | at_once),
            room.eq(room - (goes | begins) - second - third + given_back),
        ]
        with m.If(pause != 0):
            m.d.sync += pause.eq(pause - 1)
        with m.If(goes):
            m.d.sync += [left.eq(left - 1), pause.eq(core.groups - 1)]
        with m.If(self.reserve):
            m.d.sync += [row.eq(following), following.eq(following + 1)]

        started = Signal()  # since the reset
        with m.If(self.start):
            m.d.sync += [row.eq(first_row + 1), following.eq(first_row + begins + at_once)]
            m.d.sync += [left.eq(rows - begins - second - third), self.flushing.eq(self.flush)]
            m.d.sync += pause.eq(1 if core.groups == 2 else max(0, core.groups - 3))
            with m.If(first):
                m.d.sync += [slot.eq(slot + 1), started.eq(1)]
                with m.If(started & (self.tick != NEVER - 1)):
                    m.d.sync += self.tick.eq(self.tick + 1)
        with m.If(self.reset_state):
            m.d.sync += [started.eq(0), self.tick.eq(0)]
        return m
