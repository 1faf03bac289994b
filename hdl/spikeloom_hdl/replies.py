"""Everything that the sequencer tells the host, as one stream of words."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.layout import COLUMN_BITS
from spikeloom.contract.stream import Reply, spike_layout

from .layout import struct

MESSAGE = data.StructLayout({"word": COLUMN_BITS, "last": 1})
"""A word of a message; words of one message stay together."""


class Replies(wiring.Component):
    """Spikes between messages: a spike goes first, except within a message. Latency 1 cycle, 1 word a cycle.

    Parameters
    ----------
    config : :class:`ArrayConfig`
        Whose flits.

    Members
    -------
    spikes : ``In(stream(flit))``
        Flits for the host.
    messages : ``In(stream(word, last))``
        Words of messages: :data:`MESSAGE`.
    o : ``Out(stream(32))``
        To the host, as :mod:`spikeloom.contract.stream` says.
    """

    def __init__(self, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "spikes": In(stream.Signature(struct(config.flit_layout))),
                "messages": In(stream.Signature(MESSAGE)),
                "o": Out(stream.Signature(COLUMN_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spikes, messages, o = self.spikes, self.messages, self.o

        within = Signal()  # a message has begun and has not ended
        spike = Signal(struct(spike_layout(self.config)))
        m.d.comb += [spike.kind.eq(Reply.SPIKE), spike.key.eq(spikes.p.key), spike.index.eq(spikes.p.index)]
        if self.config.payload_bits:
            m.d.comb += spike.payload.eq(spikes.p.payload)

        with m.If(~o.valid | o.ready):
            m.d.sync += o.valid.eq(0)
            with m.If(spikes.valid & ~within):
                m.d.comb += spikes.ready.eq(1)
                m.d.sync += [o.valid.eq(1), o.payload.eq(spike)]
            with m.Elif(messages.valid):
                m.d.comb += messages.ready.eq(1)
                m.d.sync += [o.valid.eq(1), o.payload.eq(messages.p.word), within.eq(~messages.p.last)]
        return m
