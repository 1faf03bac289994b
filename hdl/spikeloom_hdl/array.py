"""The array: a mesh of cores and routers, the program ring through all of them, and the sequencer at core 0."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.fabric import OPPOSITE, neighbour, ports_of
from spikeloom.contract.layout import COLUMN_BITS

from .barrier import Barrier
from .bus import share
from .core import Core
from .ring import RingNode
from .router import Router
from .sequencer import Sequencer

START_LATENCY = 2
"""Registers that a start pulse passes on its way to all the cores."""

LOST_LATENCY = 3
"""Registers between a loss and the sequencer."""

SETTLE_MARGIN = 3
"""Cycles until a flit or a pulse that the sequencer has sent shows in the idle of what it reaches, generously."""


class Array(wiring.Component):
    """Everything between two streams of words: see :mod:`spikeloom.contract.stream`.

    Members
    -------
    rx : ``In(stream(32))``
        Words from the host.
    tx : ``Out(stream(32))``
        Words to the host.
    """

    rx: In(stream.Signature(COLUMN_BITS))
    tx: Out(stream.Signature(COLUMN_BITS))

    def __init__(self, config: ArrayConfig):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        config = self.config
        cores = [Core(config) for _ in range(config.cores)]
        routers = [Router(config, n) for n in range(config.cores)]
        nodes = [RingNode(n) for n in range(config.cores)]
        barrier = Barrier(2 * config.cores)
        sequencer = Sequencer(
            config,
            settle=START_LATENCY + barrier.latency + SETTLE_MARGIN,
            start_latency=START_LATENCY,
            lost_lag=max(0, LOST_LATENCY - barrier.latency),
        )
        m.submodules.sequencer = sequencer
        m.submodules.barrier = barrier
        wiring.connect(m, wiring.flipped(self.rx), sequencer.rx)
        wiring.connect(m, wiring.flipped(self.tx), sequencer.tx)

        for n, (core, router, node) in enumerate(zip(cores, routers, nodes, strict=True)):
            m.submodules[f"core{n}"] = core
            m.submodules[f"router{n}"] = router
            m.submodules[f"node{n}"] = node
            wiring.connect(m, core.spikes, router.i_core)
            wiring.connect(m, router.o_core, core.events)
            share(m, node.bus, [core.bus, router.bus])
            m.d.comb += [
                core.unrouted.eq(router.unrouted),
                barrier.i[2 * n].eq(core.idle),
                barrier.i[2 * n + 1].eq(router.idle),
            ]
            for port in set(ports_of(config, n)) & set(OPPOSITE):
                other = routers[neighbour(config, n, port)]
                name, opposite = port.name.lower(), OPPOSITE[port].name.lower()
                wiring.connect(m, getattr(router, f"o_{name}"), getattr(other, f"i_{opposite}"))
        wiring.connect(m, sequencer.inject, routers[0].i_link)
        wiring.connect(m, routers[0].o_link, sequencer.eject)
        m.d.comb += sequencer.idle.eq(barrier.o)

        stations = [sequencer.ring_o, *[node.o for node in nodes]]
        for before, after in zip(stations, [*[node.i for node in nodes], sequencer.ring_i], strict=True):
            wiring.connect(m, before, after)

        self._broadcast(m, sequencer, cores)
        return m

    def _broadcast(self, m: Module, sequencer: Sequencer, cores: list[Core]) -> None:
        """Start and reset reach all cores in one cycle, behind registers; what was lost is gathered the same way."""
        pulses = Cat(sequencer.start, sequencer.phase, sequencer.flush, sequencer.reset_state)
        for n in range(START_LATENCY):
            delayed = Signal(len(pulses), name=f"pulses{n}")
            m.d.sync += delayed.eq(pulses)
            pulses = delayed
        lost = Signal(len(cores))
        any_lost = Signal()
        m.d.sync += [any_lost.eq(lost.any()), sequencer.lost.eq(any_lost)]
        for n, core in enumerate(cores):
            m.d.comb += Cat(core.start, core.phase, core.flush, core.reset_state).eq(pulses)
            m.d.sync += lost[n].eq(core.lost)
