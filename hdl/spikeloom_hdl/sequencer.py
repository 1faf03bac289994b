"""The board's side of the host's stream: spikes in, ticks, the program ring, answers."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spikeloom.contract.config import ArrayConfig, bits_for
from spikeloom.contract.layout import COLUMN_BITS
from spikeloom.contract.neuron import LATENCY_BITS
from spikeloom.contract.ring import CORE_BITS, spaces
from spikeloom.contract.stream import (
    ACCESS_LAYOUT,
    ARGUMENT_BITS,
    CONTROL_LAYOUT,
    COUNT_BITS,
    DATA_LAYOUT,
    DONE_LAYOUT,
    ERROR_LAYOUT,
    MAGIC,
    TICK_COUNT_BITS,
    TICK_LAYOUT,
    Command,
    Error,
    Info,
    Operation,
    Reply,
    digest_words,
    spike_layout,
)

from .layout import struct
from .replies import Replies
from .ring import RingSignature


class Sequencer(wiring.Component):
    """Carries out the host's words in order, as :mod:`spikeloom.contract.stream` describes them.

    *Rest* is ``idle``, nothing waiting for ``inject``, and ``settle`` cycles since the last handshake on ``inject``,
    the last ``start`` or ``reset_state`` pulse and the last packet on the ring; so an ``idle`` that has not yet seen
    them is never believed. Spikes pass at once, a word a cycle; every other word first waits for rest, and everything
    waits for the end of a reset.

    *Ticks.* A TICK of count n is n starts, each of which waits for rest. While the last of them runs, spikes of the
    next tick pass; they are held back for ``start_latency`` cycles, so that none overtakes the start. DONE goes out at
    the first rest after a start, in front of everything else. If spikes were lost since the last report, ERROR LOST
    precedes it. ``flush`` counts up from start to start, unless it is 0, and stays at its highest value.

    *Phases.* A tick has as many starts as phases, each of which waits for rest: what a phase has sent is walked before
    the next one begins. The slot of the cores moves on with the first one only, so spikes of the next tick may pass in
    all of them. PHASES of 0, or of more than the cores have, is refused.

    *Busy cycles* are those without rest, from power-up on; those of an ACCESS do not count.

    *Period.* A start comes no sooner than that many cycles after the one before. A tick is an overrun, counted once, if
    it has not been over and its DONE on its way when its period has passed: the next one could not start in time,
    whether the array, a slow reader of ``tx``, or spikes that came meanwhile held it up. A host that has nothing to
    do for the board causes none.

    *Access.* Writes are a packet a cycle; reads are one packet at a time. The next command waits until every packet
    has come back. Address bits above the ring's are ignored.

    Parameters
    ----------
    config : :class:`ArrayConfig`
        The array.
    settle : int
        More than the cycles from ``start``, ``reset_state`` or a handshake on ``inject`` to an ``idle`` that shows it:
        the start's way to the cores, their reaction, the barrier's latency.
    start_latency : int, optional
        Cycles from ``start`` to the cores; ``settle`` if not given, which is always enough.
    lost_lag : int
        Cycles by which the way of ``lost`` may be longer than the barrier's.

    Members
    -------
    rx, tx : ``In(stream(32))``, ``Out(stream(32))``
        Words from and to the host.
    inject, eject : ``Out(stream(flit))``, ``In(stream(flit))``
        To and from the link port of router 0.
    ring_o, ring_i : ``Out(RingSignature())``, ``In(RingSignature())``
        To the first node, from the last one.
    start : ``Out(1)``
        A pulse: the next phase.
    phase, flush : ``Out(...)``, ``Out(6)``
        With ``start``, and until the next one. Phase 0 begins a tick.
    reset_state : ``Out(1)``
        A pulse: all cores clear their states.
    idle : ``In(1)``
        Root of the barrier.
    lost : ``In(1)``
        In this cycle someone lost a spike, and was not idle.
    """

    def __init__(self, config: ArrayConfig, settle: int, start_latency: int | None = None, lost_lag: int = 2):
        if settle < 1:
            raise ValueError(f"settle must be at least 1, not {settle}")
        self.config = config
        self.settle = settle
        self.start_latency = settle if start_latency is None else start_latency
        self.lost_lag = lost_lag
        flit = stream.Signature(struct(config.flit_layout))
        words = stream.Signature(COLUMN_BITS)
        super().__init__(
            {
                "rx": In(words),
                "tx": Out(words),
                "inject": Out(flit),
                "eject": In(flit),
                "ring_o": Out(RingSignature()),
                "ring_i": In(RingSignature()),
                "start": Out(1),
                "phase": Out(bits_for(config.core.phases)),
                "flush": Out(LATENCY_BITS),
                "reset_state": Out(1),
                "idle": In(1),
                "lost": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        phases = self.config.core.phases
        rx, inject, ring_o, ring_i = self.rx, self.inject, self.ring_o, self.ring_i

        m.submodules.replies = replies = Replies(self.config)
        connect(m, flipped(self.eject), replies.spikes)
        connect(m, replies.o, flipped(self.tx))
        message = replies.messages

        def say(word: Value, last: Value = 1) -> Value:
            """Offer a word of a message; the value is whether it goes in this cycle."""
            m.d.comb += [message.valid.eq(1), message.p.word.eq(word), message.p.last.eq(last)]
            return message.ready

        # What the word in front may be.
        spike, tick, access, control = (
            Signal(struct(layout), name=name)
            for layout, name in (
                (spike_layout(self.config), "spike"), (TICK_LAYOUT, "tick"),
                (ACCESS_LAYOUT, "access"), (CONTROL_LAYOUT, "control"),
            )
        )  # fmt: skip
        for view in (spike, tick, access, control):
            m.d.comb += view.eq(rx.payload)

        # Rest.
        disturb = Signal()  # reasons to distrust idle from the next cycle on
        unsettled = Signal(range(self.settle + 1), init=self.settle)
        rest = Signal()
        with m.If(disturb | inject.valid | ring_o.valid | ring_i.valid):
            m.d.sync += unsettled.eq(self.settle)
        with m.Elif(unsettled.any()):
            m.d.sync += unsettled.eq(unsettled - 1)
        m.d.comb += rest.eq(self.idle & ~unsettled.any() & ~inject.valid)

        accessing = Signal()
        busy_cycles = Signal(COLUMN_BITS)
        with m.If(~rest & ~accessing):
            m.d.sync += busy_cycles.eq(busy_cycles + 1)

        # Spikes to the array, one register.
        spike_fits = ~(spike.key >> self.config.key_bits).any() & ~(spike.index >> self.config.index_bits).any()
        held_back = Signal(range(self.start_latency + 1))
        may_inject = Signal()
        m.d.comb += may_inject.eq((~inject.valid | inject.ready) & ~held_back.any())
        with m.If(inject.ready):
            m.d.sync += inject.valid.eq(0)
        with m.If(held_back.any()):
            m.d.sync += held_back.eq(held_back - 1)

        # Spikes that the array lost since the last report; the count stays at its highest value.
        lost = Signal(ARGUMENT_BITS)
        reported = Signal()
        lost_under_way = Signal(range(max(2, self.lost_lag)))  # cycles until all are counted; the first two cost none
        with m.If(reported):
            m.d.sync += lost.eq(self.lost)
        with m.Elif(self.lost & ~lost.all()):
            m.d.sync += lost.eq(lost + 1)

        # Ticks.
        # Whether there is more to do, and whether it is time, stand in registers: what they decide is far away.
        ticks_left = Signal(TICK_COUNT_BITS)  # starts that the last TICK still asks for
        more = Signal()
        next_flush = Signal(LATENCY_BITS)
        running = Signal()  # a tick was started and its DONE has not gone
        tick_number = Signal(COLUMN_BITS)
        last_phase = Signal.like(self.phase)
        in_last_phase = self.phase == last_phase if phases > 1 else Const(1)
        period = Signal(ARGUMENT_BITS)
        until_due, due = Signal(ARGUMENT_BITS), Signal(init=1)
        timed = Signal()  # a period runs
        overruns = Signal(COLUMN_BITS)
        m.d.sync += [self.start.eq(0), self.reset_state.eq(0)]
        with m.If(~due):
            m.d.sync += [until_due.eq(until_due - 1), due.eq(until_due <= 2)]
        with m.Elif(timed):
            m.d.sync += timed.eq(0)
            with m.If(running):
                m.d.sync += overruns.eq(overruns + 1)

        # An access under way.
        header = Signal(struct(ACCESS_LAYOUT))
        count = Signal(COUNT_BITS)  # data words that are still to come or to go; 0 outside of an access
        returning = Signal(CORE_BITS + 3)  # packets on the ring, at most its length
        exists = Signal()
        m.d.comb += exists.eq(
            (header.core < self.config.cores) & Cat(header.space == s for s in spaces(self.config)).any()
        )
        m.d.sync += [ring_o.valid.eq(0), returning.eq(returning + ring_o.valid - ring_i.valid)]

        def send_packet() -> None:
            m.d.sync += [
                ring_o.valid.eq(1),
                ring_o.packet.write.eq(header.write),
                ring_o.packet.core.eq(header.core),
                ring_o.packet.space.eq(header.space),
                ring_o.packet.data.eq(rx.payload),
            ]

        with m.If(ring_o.valid):
            m.d.sync += ring_o.packet.address.eq(ring_o.packet.address + 1)

        failure = Signal(struct(ERROR_LAYOUT))
        m.d.comb += failure.kind.eq(Reply.ERROR)

        def fail(code: Error, argument: Value) -> None:
            m.d.sync += [failure.code.eq(code), failure.argument.eq(argument)]
            m.next = "FAIL"

        done = Signal(struct(DONE_LAYOUT))
        loss = Signal(struct(ERROR_LAYOUT))
        data_header = Signal(struct(DATA_LAYOUT))
        m.d.comb += [
            done.kind.eq(Reply.DONE), done.tick.eq(tick_number),
            loss.kind.eq(Reply.ERROR), loss.code.eq(Error.LOST), loss.argument.eq(lost),
            data_header.kind.eq(Reply.DATA),
        ]  # fmt: skip
        info_word = Signal(range(len(Info)))
        digest_low, digest_high = digest_words(self.config)
        info = Signal(COLUMN_BITS)
        info_values = {
            Info.MAGIC: MAGIC,
            Info.DIGEST_LOW: digest_low,
            Info.DIGEST_HIGH: digest_high,
            Info.TICK: tick_number,
            Info.BUSY_CYCLES: busy_cycles,
            Info.OVERRUNS: overruns,
        }
        with m.Switch(info_word):
            for word in Info:
                with m.Case(word):
                    m.d.comb += info.eq(info_values[word])

        with m.FSM():
            with m.State("COMMAND"):
                with m.If(running & rest & ~in_last_phase):
                    m.d.comb += disturb.eq(1)
                    m.d.sync += [self.start.eq(1), self.phase.eq(self.phase + 1)]
                with m.Elif(running & rest):
                    m.d.sync += lost_under_way.eq(max(0, self.lost_lag - 1))
                    m.next = "REPORT"
                with m.Elif(~running & more & rest & due):
                    m.d.comb += disturb.eq(1)
                    m.d.sync += [
                        self.start.eq(1),
                        self.phase.eq(0),
                        self.flush.eq(next_flush),
                        next_flush.eq(next_flush + (next_flush.any() & ~next_flush.all())),
                        ticks_left.eq(ticks_left - 1),
                        more.eq(ticks_left != 1),
                        running.eq(1),
                        held_back.eq(self.start_latency),
                        until_due.eq(period),
                        due.eq(period <= 1),
                        timed.eq(period.any()),
                    ]
                with m.Elif(rx.valid & ~more):
                    with m.If(spike.kind == Command.SPIKE):
                        with m.If(~spike_fits):
                            m.d.comb += rx.ready.eq(1)
                            fail(Error.SPIKE, spike.key)
                        with m.Elif(may_inject):
                            m.d.comb += rx.ready.eq(1)
                            m.d.sync += [
                                inject.valid.eq(1),
                                inject.p.key.eq(spike.key),
                                inject.p.index.eq(spike.index),
                                *([inject.p.payload.eq(spike.payload)] if self.config.payload_bits else []),
                            ]
                    with m.Elif(~running & rest):
                        m.d.comb += rx.ready.eq(1)
                        with m.Switch(spike.kind):
                            with m.Case(Command.TICK):
                                m.d.sync += [
                                    ticks_left.eq(tick.count),
                                    more.eq(tick.count != 0),
                                    next_flush.eq(tick.flush),
                                ]
                                with m.If(~tick.count.any()):
                                    fail(Error.TICK, 0)
                            with m.Case(Command.ACCESS):
                                m.d.sync += [header.eq(access), count.eq(access.count)]
                                m.next = "ADDRESS"
                            with m.Case(Command.CONTROL), m.Switch(control.operation):
                                with m.Case(Operation.RESET_STATE):
                                    m.d.comb += disturb.eq(1)
                                    m.d.sync += [self.reset_state.eq(1), tick_number.eq(0)]
                                    m.next = "CLEARING"
                                with m.Case(Operation.QUERY):
                                    m.next = "INFO_HEADER"
                                with m.Case(Operation.PERIOD):
                                    m.d.sync += period.eq(control.argument)
                                if phases > 1:
                                    with m.Case(Operation.PHASES):
                                        with m.If(control.argument.any() & (control.argument <= phases)):
                                            m.d.sync += last_phase.eq(control.argument - 1)
                                        with m.Else():
                                            fail(Error.OPERATION, control.operation)
                                with m.Default():
                                    fail(Error.OPERATION, control.operation)

            # A spike that came before the sums are clear would be cleared with them.
            with m.State("CLEARING"), m.If(rest):
                m.next = "COMMAND"

            # A tick is over.
            with m.State("REPORT"):
                with m.If(lost_under_way.any()):
                    m.d.sync += lost_under_way.eq(lost_under_way - 1)
                with m.Elif(lost.any()):
                    m.next = "LOSS"
                with m.Else():
                    m.next = "DONE"
            with m.State("LOSS"), m.If(say(loss)):
                m.d.comb += reported.eq(1)
                m.next = "DONE"
            with m.State("DONE"), m.If(say(done, last=0)):
                m.next = "DONE_CYCLES"
            with m.State("DONE_CYCLES"), m.If(say(busy_cycles)):
                m.d.sync += [running.eq(0), tick_number.eq(tick_number + 1)]
                m.next = "COMMAND"

            # An error; data words that belong to it follow.
            with m.State("FAIL"), m.If(say(failure)):
                m.next = "DROP"
            with m.State("DROP"):
                with m.If(~count.any()):
                    m.next = "COMMAND"
                with m.Else():
                    m.d.comb += rx.ready.eq(1)
                    with m.If(rx.valid):
                        m.d.sync += count.eq(count - 1)

            # Query.
            with m.State("INFO_HEADER"):
                m.d.comb += data_header.count.eq(len(Info))
                m.d.sync += info_word.eq(0)
                with m.If(say(data_header, last=0)):
                    m.next = "INFO"
            with m.State("INFO"):
                last = info_word == len(Info) - 1
                with m.If(say(info, last=last)):
                    m.d.sync += info_word.eq(info_word + 1)
                    with m.If(last):
                        m.next = "COMMAND"

            # Access.
            with m.State("ADDRESS"):
                m.d.comb += [rx.ready.eq(1), accessing.eq(1)]
                with m.If(rx.valid):
                    m.d.sync += ring_o.packet.address.eq(rx.payload)
                    with m.If(~exists):
                        fail(Error.CORE, Cat(header.space, header.core))
                        with m.If(~header.write):
                            m.d.sync += count.eq(0)
                    with m.Elif(header.write):
                        m.next = "WRITE"
                    with m.Else():
                        m.next = "READ_HEADER"
            with m.State("WRITE"):
                m.d.comb += accessing.eq(1)
                with m.If(~count.any()):
                    m.next = "RETURN"
                with m.Else():
                    m.d.comb += rx.ready.eq(1)
                    with m.If(rx.valid):
                        send_packet()
                        m.d.sync += count.eq(count - 1)
            with m.State("READ_HEADER"):
                m.d.comb += [data_header.count.eq(count), accessing.eq(1)]
                with m.If(say(data_header, last=~count.any())):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += accessing.eq(1)
                with m.If(~count.any()):
                    m.next = "RETURN"
                with m.Else():
                    send_packet()
                    m.d.sync += count.eq(count - 1)
                    m.next = "READ_ANSWER"
            with m.State("READ_ANSWER"):
                m.d.comb += accessing.eq(1)
                with m.If(ring_i.valid):
                    m.next = "READ_DATA"
            # The last node keeps the packet until the next one comes.
            with m.State("READ_DATA"):
                m.d.comb += accessing.eq(1)
                with m.If(say(ring_i.packet.data, last=~count.any())):
                    m.next = "READ"
            with m.State("RETURN"):
                m.d.comb += accessing.eq(1)
                with m.If(~returning.any() & ~ring_o.valid & ~unsettled.any()):
                    m.next = "COMMAND"
        return m
