"""The router loses and doubles no flit, sends it nowhere else, and serves all inputs in turn.

One arbitrary flit is tracked: its value and the port it comes in by are chosen once, the cycle freely. No other flit
of that value enters (the router looks at a flit's key alone, so an index can tell it from all others). The
specification sees only the ports:

* each port of the key's route gives out the flit once, no other port does, and none before it came in;
* ``idle`` is never reported while a copy is missing;
* ``unrouted`` counts, one cycle later, the flits without a route that were accepted;
* where all outputs are always ready, every copy has left ``bound`` cycles after the flit was accepted: no deadlock,
  and no input is passed over for ever (:class:`Flow`).

Routes are written over the bus, so they are arbitrary. Assumed: the bus is used at rest only, when the router is idle
and nothing is offered, and nothing comes in the cycle after a read, whose address the table then has.
"""

from pathlib import Path

import prover
import pytest
import small
from amaranth import *
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from spikeloom.contract.fabric import ROUTE_LAYOUT, Port
from spikeloom.contract.ring import Space
from spikeloom_hdl import router


class RouterProof(prover.Top):
    """See the module; ``flow`` keeps all outputs ready."""

    def __init__(self, module, config, core: int, *, flow: bool = False):
        self.config, self.flow = config, flow
        self.dut = module.Router(config, core)
        self.probes, members = {}, {}
        sets = len(self.dut.ports)
        for port in self.dut.ports:
            name = port.name.lower()
            inside = {"head": self.dut.flit, "missing": sets, "spare": self.dut.flit, "spare_valid": 1}
            for signal, shape in (inside | {"spare_missing": sets}).items():
                self.probes[f"{name}_{signal}"] = f"dut.{name}_{signal}"
                members[f"{name}_{signal}"] = In(shape)
            self.probes[f"{name}_table"] = (f"dut.routes_{name}", config.keys)
            members[f"{name}_table"] = In(data.ArrayLayout(ROUTE_LAYOUT.width, config.keys))
        super().__init__({**self.dut.signature.members, **members, "mark": In(1)})

    @property
    def bound(self) -> int:
        """Cycles by which a flit has left: behind a flit in front of it, each output serves all others first."""
        return 2 * len(self.dut.ports) + 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        prover.start(m)
        for name in dut.signature.members:
            if name in ("idle", "unrouted"):
                continue
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(dut, name))
        bus, ports = dut.bus, dut.ports
        width = ROUTE_LAYOUT.width
        offered = Cat(dut.i(port).valid for port in ports)
        accepted = [dut.i(port).valid & dut.i(port).ready for port in ports]
        given = [dut.o(port).valid & dut.o(port).ready for port in ports]
        m.d.comb += Assume(~bus.valid | (dut.idle & ~offered.any()))
        m.d.comb += Assume(~prover.past(m, bus.valid, 1, "accessed") | ~offered.any())

        routes = Array(Signal(width, name=f"route{key}") for key in range(self.config.keys))
        with m.If(bus.valid & bus.write & (bus.space == Space.ROUTE)):
            m.d.sync += routes[bus.address[: self.config.key_bits]].eq(bus.data)

        def route(key: Value) -> Value:
            """The ports of a key, among those that exist, in their order."""
            return Cat(routes[key].bit_select(int(port), 1) for port in ports)

        # The tracked flit.
        flit = prover.anyconst(m, dut.flit, "flit")
        source = prover.anyconst(m, range(len(ports)), "source")
        marked, due = Signal(), Signal(len(ports))
        sent = Signal(len(ports))
        comes = Signal()
        for n, port in enumerate(ports):
            match = (dut.i(port).p.as_value() == flit.as_value()) & dut.i(port).valid
            m.d.comb += Assume(~match | ((source == n) & ~marked & self.mark))
            with m.If(match & accepted[n]):
                m.d.comb += comes.eq(1)
                m.d.sync += [marked.eq(1), due.eq(route(flit.key))]
        for n, port in enumerate(ports):
            match = Signal(name=f"leaves{n}")
            m.d.comb += match.eq((dut.o(port).p.as_value() == flit.as_value()) & dut.o(port).valid)
            with m.If(match):
                m.d.comb += Assert(marked & due[n] & ~sent[n])
                with m.If(given[n]):
                    m.d.sync += sent[n].eq(1)
        with m.If(marked & dut.idle):
            m.d.comb += Assert(sent == due)
        missing = [taken & ~route(dut.i(port).p.key).any() for taken, port in zip(accepted, ports, strict=True)]
        m.d.comb += Assert(dut.unrouted == prover.past(m, sum(missing), 1, "unrouted"))

        # Invariants that induction needs: a copy that is due has been sent, or is in one place only; who waits behind
        # somebody has a route; and the tables are the routes.
        def inside(port: Port, name: str) -> Value:
            return Value.cast(getattr(self, f"{port.name.lower()}_{name}"))

        for n, port in enumerate(ports):
            at_output = dut.o(port).valid & (dut.o(port).p.as_value() == flit.as_value())
            places = [at_output, sent[n]]
            for k, origin in enumerate(ports):
                in_head = inside(origin, "missing")[n] & (inside(origin, "head") == flit.as_value())
                in_spare = inside(origin, "spare_missing")[n] & (inside(origin, "spare") == flit.as_value())
                in_spare &= inside(origin, "spare_valid")
                places += [in_head & (source == k), in_spare & (source == k)]
                m.d.comb += Assert(~(in_head | in_spare) | (source == k))
            m.d.comb += Assert(sum(places) == due[n])
            waits = inside(port, "spare_valid")
            m.d.comb += Assert(~waits | (inside(port, "missing").any() & inside(port, "spare_missing").any()))
            for key in range(self.config.keys):
                m.d.comb += Assert(getattr(self, f"{port.name.lower()}_table")[key] == routes[key])
        m.d.comb += Assert(marked | ~due.any())

        age = Signal(range(self.bound + 2))
        with m.If(marked & (age <= self.bound)):
            m.d.sync += age.eq(age + 1)
        m.d.comb += Assert(marked | (age == 0))
        if self.flow:
            m.d.comb += [Assume(dut.o(port).ready) for port in ports]
            m.d.comb += Assert((age < self.bound) | (sent == due))
            m.d.comb += Cover((age == self.bound - 2) & (sent != due))
        m.d.comb += [
            Cover(marked & sent.all() & dut.idle), Cover(comes & ~route(flit.key).any()),
            *(Cover(sent[n] & (source == k)) for n in range(len(ports)) for k in range(len(ports))),
        ]  # fmt: skip
        return m


ROUTERS = {"2 ports": ({}, 0), "3 ports": ({"width": 2}, 0), "4 ports": ({"width": 2, "height": 2}, 0),
           "5 ports": ({"width": 3, "height": 3}, 4)}  # fmt: skip
FULL = pytest.mark.full
BUGS = {
    "copies-lost": ("3 ports", False),
    "not-in-turn": ("3 ports", True),
}
"""Of ``tests/mutations/mutations.py``, with the proof that finds it."""
OTHER_BUGS = {
    "taken twice": ("m.d.sync += missing[n].eq(left)", "m.d.sync += missing[n].eq(missing[n])", False),
    "spare lost": ("m.d.sync += spare_valid.eq(1)", "m.d.sync += spare_valid.eq(0)", False),
    "overwritten": ("i.ready.eq(~spare_valid)", "i.ready.eq(1)", False),
    "idle with a flit on the output": ("Cat(missing, (self.o(port).valid for port in self.ports), ",
                                       "Cat(missing, ", False),
}  # fmt: skip


def top(module, name: str, flow: bool) -> RouterProof:
    changes, core = ROUTERS[name]
    return RouterProof(module, small.array(index_bits=1, **changes), core, flow=flow)


@pytest.mark.parametrize("flow", [False, pytest.param(True, marks=FULL)], ids=["every copy once", "flow"])
@pytest.mark.parametrize(
    "name", ["3 ports", *(pytest.param(name, marks=FULL) for name in ROUTERS if name != "3 ports")]
)
def test_router(tmp_path: Path, name: str, flow: bool) -> None:
    proof = top(router, name, flow)
    depth = proof.bound + 2 if flow else 3
    assert prover.prove(proof, tmp_path, engine=prover.BOOLECTOR, depth=depth).passed
    assert prover.cover(top(router, name, flow), tmp_path, depth=20).passed


@pytest.mark.parametrize("bug", ["copies-lost", pytest.param("not-in-turn", marks=FULL)])
def test_router_catches(tmp_path: Path, bug: str) -> None:
    proof = top(prover.planted(bug), *BUGS[bug])
    assert not prover.prove(proof, tmp_path, engine=prover.BOOLECTOR, depth=14, bounded=True).passed


@pytest.mark.full
@pytest.mark.parametrize("bug", OTHER_BUGS)
def test_router_catches_also(tmp_path: Path, bug: str) -> None:
    old, new, flow = OTHER_BUGS[bug]
    proof = top(prover.mutated("router.py", old, new), "3 ports", flow)
    assert not prover.prove(proof, tmp_path, engine=prover.BOOLECTOR, depth=14, bounded=True).passed
