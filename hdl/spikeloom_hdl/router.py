"""One router of the mesh: multicast by key, nothing lost."""

from typing import Any

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from spikeloom.contract.config import ArrayConfig
from spikeloom.contract.fabric import ROUTE_LAYOUT, Port, ports_of
from spikeloom.contract.ring import Space

from .bus import BusSignature, read_latency
from .layout import struct


class Router(wiring.Component):
    """Passes each flit on by all ports of its key's route, every copy in a cycle of its own.

    An input has two places: the *head*, with the ports that still lack their copy, and a *spare* behind it, so that
    ``ready`` is a register. An output is a register, given to the heads in turn. A flit that is accepted in cycle ``t``
    is a head in ``t + 1`` and on the output in ``t + 2``; every port takes and gives a flit a cycle. No path leads
    through a router without a register.

    A flit whose key has no route to an existing port is dropped and counted; it never blocks.

    Parameters
    ----------
    config : :class:`ArrayConfig`
        The mesh and its flits.
    core : int
        Which core's router this is; it has the ports :func:`ports_of` tells.

    Members
    -------
    i_north, i_east, i_south, i_west, i_core, i_link : ``In(stream(flit))``
        Those that exist: flits that come from there.
    o_north, o_east, o_south, o_west, o_core, o_link : ``Out(stream(flit))``
        Flits that go there.
    bus : ``In(BusSignature())``
        Space ROUTE: the ports of each key. Only at rest; higher address bits are ignored.
    idle : ``Out(1)``
        No flit is here, and none was dropped in the cycle before: whoever sees rest has seen the loss.
    unrouted : ``Out(...)``
        Flits that were dropped in the cycle before, at most one a port.
    """

    def __init__(self, config: ArrayConfig, core: int):
        self.config = config
        self.ports = ports_of(config, core)
        self.flit = struct(config.flit_layout)
        members = {}
        for port in self.ports:
            members[f"i_{port.name.lower()}"] = In(stream.Signature(self.flit))
            members[f"o_{port.name.lower()}"] = Out(stream.Signature(self.flit))
        super().__init__(
            {
                **members,
                "bus": In(BusSignature()),
                "idle": Out(1),
                "unrouted": Out(bits_for(len(self.ports))),
            }
        )

    def i(self, port: Port) -> stream.Interface:
        return getattr(self, f"i_{port.name.lower()}")

    def o(self, port: Port) -> stream.Interface:
        return getattr(self, f"o_{port.name.lower()}")

    def elaborate(self, platform):
        m = Module()
        routes = self._routes(m, platform)

        # Inputs. A set of ports is a signal with one bit for each port that exists, in the order of self.ports. There
        # is a flit in a head as long as it misses a copy; there is none in a spare without one in its head.
        count = len(self.ports)
        head = [Signal(self.flit, name=f"{port.name.lower()}_head") for port in self.ports]
        missing = [Signal(count, name=f"{port.name.lower()}_missing") for port in self.ports]
        granted = [Signal(count, name=f"{port.name.lower()}_granted") for port in self.ports]
        dropped = Signal(count)
        for n, port in enumerate(self.ports):
            name = port.name.lower()
            i, route = self.i(port), routes[n]
            spare_valid = Signal(name=f"{name}_spare_valid")
            spare = Signal(self.flit, name=f"{name}_spare")
            spare_missing = Signal(count, name=f"{name}_spare_missing")
            comes = Signal(name=f"{name}_comes")
            left = Signal(count, name=f"{name}_left")
            m.d.comb += [
                i.ready.eq(~spare_valid),
                comes.eq(i.valid & i.ready & route.any()),
                dropped[n].eq(i.valid & i.ready & ~route.any()),
                left.eq(missing[n] & ~granted[n]),
            ]
            with m.If(left.any()):
                m.d.sync += missing[n].eq(left)
                with m.If(comes):
                    m.d.sync += spare_valid.eq(1)
            with m.Else():
                m.d.sync += [
                    head[n].eq(Mux(spare_valid, spare.as_value(), i.p.as_value())),
                    missing[n].eq(Mux(spare_valid, spare_missing, Mux(comes, route, 0))),
                    spare_valid.eq(0),
                ]
            with m.If(~spare_valid):
                m.d.sync += [spare.eq(i.p), spare_missing.eq(route)]

        # Outputs.
        for n, port in enumerate(self.ports):
            o = self.o(port)
            asks = Signal(count, name=f"{port.name.lower()}_asks")
            wins = Signal(count, name=f"{port.name.lower()}_wins")
            free = Signal(name=f"{port.name.lower()}_free")
            m.d.comb += [
                asks.eq(Cat(ports[n] for ports in missing)),
                free.eq(~o.valid | o.ready),
                *(granted[k][n].eq(wins[k] & free) for k in range(count)),
            ]
            self._in_turn(m, port.name.lower(), asks, wins, free)
            with m.If(free):
                m.d.sync += o.valid.eq(asks.any())
                for k in range(count):
                    with m.If(wins[k]):
                        m.d.sync += o.p.eq(head[k])

        m.d.sync += self.unrouted.eq(sum(dropped))
        here = Cat(missing, (self.o(port).valid for port in self.ports), self.unrouted)
        m.d.comb += self.idle.eq(~here.any())
        return m

    def _routes(self, m: Module, platform: Any) -> list[Signal]:
        """The route of each input's flit: a table an input, all written together."""
        bus = self.bus
        chosen = Signal()
        m.d.comb += chosen.eq(bus.valid & (bus.space == Space.ROUTE))
        asked = Signal()  # a read, one cycle after the bus
        address = Signal(self.config.key_bits)
        m.d.sync += [asked.eq(chosen & ~bus.write), address.eq(bus.address)]
        routes = []
        for port in self.ports:
            table = Memory(shape=ROUTE_LAYOUT.width, depth=self.config.keys, init=[])
            m.submodules[f"routes_{port.name.lower()}"] = table
            write, read = table.write_port(), table.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(chosen & bus.write),
                write.addr.eq(bus.address),
                write.data.eq(bus.data),
                read.addr.eq(self.i(port).p.key),
            ]
            route = Signal(len(self.ports), name=f"{port.name.lower()}_route")
            m.d.comb += route.eq(Cat(read.data[other] for other in self.ports))
            routes.append(route)
            if port is Port.CORE:  # at rest, so this one has the time to answer the bus
                with m.If(asked):
                    m.d.comb += read.addr.eq(address)
                answer = Signal(ROUTE_LAYOUT.width)
                m.d.comb += answer.eq(Mux(asked, read.data, 0))
        for n in range(1, read_latency(platform)):
            delayed = Signal.like(answer, name=f"answer{n}")
            m.d.sync += delayed.eq(answer)
            answer = delayed
        m.d.comb += bus.read_data.eq(answer)
        return routes

    def _in_turn(self, m: Module, name: str, asks: Signal, wins: Signal, take: Signal) -> None:
        """One bit of ``wins`` for one of those that ask: the first one after the last that was taken."""
        after = Signal(len(asks), name=f"{name}_after")  # those that come after the last winner
        first, any_first = asks & after, (asks & after).any()
        m.d.comb += wins.eq(Mux(any_first, _lowest(first), _lowest(asks)))
        with m.If(take & asks.any()):
            m.d.sync += after.eq(Cat(wins[:n].any() for n in range(len(wins))))


def _lowest(bits: Value) -> Value:
    """Only the lowest of the bits that are set."""
    return Cat(bits[n] & ~bits[:n].any() for n in range(len(bits)))
