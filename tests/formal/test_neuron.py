"""A neuron's pipeline equals the integer equation for all inputs, in each reset mode.

The specification is the equation of :mod:`spikeloom.contract.neuron`, combinational and without any width to save,
delayed by ``NeuronPipeline.latency``. Sums and potentials are compared on the way, too, so that no solver has to carry
additions through all stages. k-induction deeper than the pipeline: whatever was in it has left, so a window of that
many cycles from an arbitrary state is a proof for all time, with a new neuron each cycle.

Free in each cycle: state, parameters, biases, sum. Free once: tick and flush, which stand still during an update.
Assumed, as the contract promises: decays are at most one, ``v_sub >= 0``, and ``theta >= -1`` where the reset is
SUBTRACT; with an adaptation of the threshold, that this does not fall there either; that ``theta = v_sub - 1`` where a
neuron may send several spikes. Widths: ``NUMERICS``.

Of a neuron that is not active (before its latency, after its flush), which is not written back, it is proved that it
is told to be so, and neither fires nor saturates. Where ``clear`` asks for it, the next cycle's state is zeros.
"""

from pathlib import Path

import prover
import pytest
import small
import z3
from amaranth import *
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib.wiring import In

from spikeloom.contract.neuron import LATENCY_BITS, Adaptation, Reset, bias_layout, parameter_layout, state_layout
from spikeloom.contract.numerics import DECAY_BITS, DECAY_ONE, DEFAULT, LOIHI, SMALL, Profile
from spikeloom_hdl import neuron
from spikeloom_hdl.layout import struct
from spikeloom_hdl.neuron import FACTOR_BITS, NeuronPipeline


def watched(pipeline: type[NeuronPipeline]) -> type[NeuronPipeline]:
    """The pipeline with its ``cuts``: what is in the midst of it, and so many cycles after it came in."""

    class Watched(pipeline):
        def _watch(self, cut: str, name: str) -> None:
            self.cuts = getattr(self, "cuts", {}) | {cut: (self.pipe[name], self.latency)}

        def _integrate(self) -> None:
            super()._integrate()
            self._watch("sum_u", "u")
            self._watch("sum_v", "v")

        def _limit_u(self) -> None:
            super()._limit_u()
            self._watch("limited_u", "u")

        def _limit_v(self) -> None:
            super()._limit_v()
            self._watch("limited_v", "v")

    return Watched


class NeuronProof(prover.Top):
    """See the module."""

    def __init__(
        self, module, numerics, reset: Reset, adaptation: Adaptation | None = None, spike_bits: int = 0,
        short: bool = False,
    ):  # fmt: skip
        self.module, self.numerics, self.reset, self.adaptation = module, numerics, reset, adaptation
        self.spike_bits, self.short = spike_bits, short
        self.cuts: dict[str, Signal] = {}
        adaptive = adaptation is not None
        super().__init__(
            {
                "state": In(struct(state_layout(numerics, adaptive, spike_bits))),
                "parameters": In(struct(parameter_layout(numerics, adaptive, spike_bits))),
                "biases": In(struct(bias_layout(numerics))),
                "acc": In(signed(numerics.accumulator_bits)),
                "clear": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        prover.start(m)
        p = self.parameters
        tick, flush = (prover.anyconst(m, LATENCY_BITS, name) for name in ("tick", "flush"))
        m.d.comb += [
            Assume(p.reset == self.reset), Assume(p.v_sub >= 0),
            Assume(p.alpha <= DECAY_ONE), Assume(p.beta <= DECAY_ONE),
        ]  # fmt: skip
        if self.reset is Reset.SUBTRACT:
            m.d.comb += Assume(p.theta >= -1)
        if self.adaptation is not None:
            m.d.comb += [Assume(p.adaptation == self.adaptation), Assume(p.gamma <= DECAY_ONE)]
            if self.numerics.profile is Profile.LOIHI:
                m.d.comb += Assume(self.state.a >= self.numerics.state_min)
            if self.reset is Reset.SUBTRACT and self.adaptation != Adaptation.INPUT:
                m.d.comb += Assume(self.state.a >= 0)
        if self.spike_bits:
            one = p.spike_bits == 0
            m.d.comb += [Assume(p.spike_bits <= self.spike_bits), Assume(one | (p.v_sub == p.theta + 1))]
            m.d.comb += Assume(one | (p.v_sub > 0))
        ports = {
            "state": self.state, "parameters": p, "biases": self.biases,
            "acc": prover.past(m, self.acc, 1, "acc").as_signed(), "tick": tick, "flush": flush, "clear": self.clear,
        }  # fmt: skip
        pipeline = watched(self.module.NeuronPipeline)(m, "dut", self.numerics, short=self.short, **ports)
        got = pipeline.result
        states = ("u", "v", "r") if self.adaptation is None else ("u", "v", "r", "a")
        cleared = prover.past(m, self.clear, 1, "cleared")
        want = self._equation(m, tick, flush)
        seen = prover.past(m, C(1), pipeline.latency, "seen")
        then = {name: prover.past(m, value, pipeline.latency, f"want_{name}") for name, value in want.items()}
        for name, (value, cycles) in pipeline.cuts.items():
            cut = prover.past(m, self.cuts[name], cycles, f"cut_{name}").as_signed()
            m.d.comb += Assert(~prover.past(m, C(1), cycles, f"seen_{name}") | (value == cut))
        with m.If(seen):
            m.d.comb += Assert(got["active"] == then["active"])
            m.d.comb += Assert(got["saturations"] == then["saturations"])
            m.d.comb += Assert(got["s"] == Mux(cleared, 0, then["s"]))
            with m.If(cleared):
                m.d.comb += [Assert(got[name] == 0) for name in states]
            with m.Elif(then["active"]):
                m.d.comb += [Assert(got[name] == then[name]) for name in states]
            m.d.comb += [
                Cover(then["s"].any() & ~then["saturations"].any()), Cover(then["saturations"] == 2),
                Cover(then["waits"] & then["active"]), Cover(~then["active"]), Cover(then["low"]),
            ]  # fmt: skip
            if self.spike_bits:
                m.d.comb += [Cover(then["s"] == n) for n in range(1, 1 << self.spike_bits)]
                m.d.comb += Cover(then["more"] & ~then["saturations"][1])
        return m

    def _equation(self, m, tick, flush) -> dict[str, Value]:
        """What the contract says, by name; sums are wide enough for anything."""
        numerics, p, old = self.numerics, self.parameters, self.state
        loihi = numerics.profile is Profile.LOIHI
        wide = signed(48)

        def named(name: str, value: Value, shape=wide) -> Signal:
            signal = Signal(shape, name=f"spec_{name}")
            m.d.comb += signal.eq(value)
            return signal

        def rounded(name: str, factor: Value) -> Signal:
            """The product with a state, of a wide one the sum of those of its parts: :func:`test_distributive_law`."""
            state, value = old[name], factor * old[name]
            if len(state) > FACTOR_BITS + 1:
                value = factor * state[:FACTOR_BITS] + ((factor * state[FACTOR_BITS:].as_signed()) << FACTOR_BITS)
            product = named(f"{name}_product", value)
            half = Mux(product < 0, DECAY_ONE - 1, 0) if loihi else 1 << DECAY_BITS - 1
            return named(f"{name}_decayed", (product + half) >> DECAY_BITS)

        acc = self.acc
        if loihi:
            exponent = p.weight_exponent
            acc = Signal(wide, name="spec_acc")
            with m.Switch(exponent):
                for n in range(-8, 8):
                    with m.Case(n):
                        m.d.comb += acc.eq(self.acc << n if n >= 0 else self.acc >> -n)
        low, high = numerics.state_min, numerics.state_max

        current = named("current", rounded("u", p.alpha) + (acc << numerics.fraction_bits) + self.biases.bias_u)
        if loihi:
            u = named("u", current[: numerics.state_bits].as_signed())
        else:
            u = named("u", Mux(current > high, high, Mux(current < low, low, current)))
        delayed = Mux(old.s & (p.reset == Reset.SUBTRACT_DELAYED), p.v_sub, 0)
        theta = p.theta
        if self.adaptation is not None:
            faded = rounded("a", p.gamma)
            delayed = old.a if self.adaptation is Adaptation.INPUT else delayed
            moved = {Adaptation.THRESHOLD: old.a, Adaptation.FADED_THRESHOLD: faded}
            theta = named("theta", p.theta + moved.get(self.adaptation, 0))
        gathered = named("gathered", rounded("v", p.beta) + self.biases.bias - delayed)
        potential = named("potential", gathered + u)
        inside = named("inside", Mux(potential > high, high, Mux(potential < low, low, potential)))
        v = named("v", Mux(inside < p.v_min, p.v_min, inside))
        self.cuts = {"sum_u": current, "sum_v": gathered, "limited_u": u, "limited_v": v}

        waits = old.r != 0
        spikes = named("spikes", ~waits & (v > theta), 1)
        after = {Reset.VALUE: p.v_reset, Reset.SUBTRACT: v - p.v_sub}.get(self.reset, v)
        active = (p.latency <= tick) & ((flush == 0) | (p.latency >= flush))
        limited = (u != current) + ((inside != potential) & ~waits)
        adapted = {}
        count, several = spikes, {}
        if self.spike_bits:
            counts = p.spike_bits != 0
            times, taken = Signal(self.spike_bits, name="spec_times"), Signal(wide, name="spec_taken")
            for n in range(1, 1 << self.spike_bits):
                with m.If((v >= n * p.v_sub) & (n < 1 << p.spike_bits)):
                    m.d.comb += [times.eq(n), taken.eq(n * p.v_sub)]
            after = named("after", Mux(counts, v - taken, after))
            more = named("more", spikes & counts & (after >= p.v_sub), 1)
            limited = limited + more
            count, several = Mux(spikes, Mux(counts, times, 1), 0), {"more": active & more}
        if self.adaptation is not None:
            grown = named("grown", faded + Mux(spikes, p.step, 0))
            a = named("next_a", Mux(grown > high, high, Mux(grown < low, low, grown)))
            limited = limited + (a != grown)
            adapted = {"a": a}
        return (
            adapted
            | several
            | {
                "u": named("next_u", u),
                "v": named("next_v", Mux(waits, p.v_reset, Mux(spikes, after, v))),
                "r": named("next_r", Mux(waits, old.r - 1, Mux(spikes, p.refractory, 0))),
                "s": named("next_s", Mux(active, count, 0), max(1, self.spike_bits)),
                "saturations": named("count", Mux(active, limited, 0), 2),
                "active": active,
                "waits": waits,
                "low": active & spikes & (v == p.v_min),
            }
        )


NUMERICS = {
    "spikeloom": small.numerics(state_bits=5, accumulator_bits=4, fraction_bits=1),
    "loihi": small.numerics(profile=Profile.LOIHI, state_bits=8, accumulator_bits=3, fraction_bits=6),
    "DEFAULT": DEFAULT,
    "SMALL": SMALL,
    "LOIHI": LOIHI,
}
"""The first two are narrower than the contract allows; the others are its own."""
BUGS = {
    "fires-at-theta": ("spikeloom", Reset.VALUE),
    "round-below-half": ("spikeloom", Reset.NONE),
    "round-floor": ("loihi", Reset.VALUE),
    "reset-without-spike": ("spikeloom", Reset.SUBTRACT_DELAYED),
    "refractory-short": ("spikeloom", Reset.VALUE),
    "no-floor": ("spikeloom", Reset.SUBTRACT),
    "saturates-low": ("spikeloom", Reset.VALUE),
    "saturations-once": ("spikeloom", Reset.VALUE),
    "latency-strict": ("spikeloom", Reset.VALUE),
    "flush-strict": ("spikeloom", Reset.VALUE),
    "held-fires": ("spikeloom", Reset.VALUE),
}
ADAPTIVE_BUGS = {
    "adaptation-stays": Adaptation.THRESHOLD,
    "adaptation-fades-first": Adaptation.THRESHOLD,
    "adaptation-beside-input": Adaptation.INPUT,
    "adaptation-wraps": Adaptation.FADED_THRESHOLD,
}
SEVERAL_BUGS = (
    "more-spikes-not-counted", "most-spikes-not-counted", "spikes-beyond-their-bits", "quotient-strict",
    "spikes-take-one-threshold",
)  # fmt: skip
SPIKE_BITS = 2
FULL = pytest.mark.full
DEPTH = NeuronPipeline.STAGES + 2


def test_distributive_law() -> None:
    """That a product is the sum of those of the parts: for all integers, and that a state is its parts' sum."""
    factor, low, high = z3.Ints("factor low high")
    solver = z3.Solver()
    solver.add(factor * (low + high * 2**FACTOR_BITS) != factor * low + factor * high * 2**FACTOR_BITS)
    assert solver.check() == z3.unsat
    bits = DEFAULT.state_bits
    state = z3.BitVec("state", bits)
    low, high = z3.Extract(FACTOR_BITS - 1, 0, state), z3.Extract(bits - 1, FACTOR_BITS, state)
    parts = z3.BV2Int(low) + z3.BV2Int(high, is_signed=True) * 2**FACTOR_BITS
    solver = z3.Solver()
    solver.add(parts != z3.BV2Int(state, is_signed=True))
    assert solver.check() == z3.unsat


@pytest.mark.parametrize(
    "reset", [Reset.SUBTRACT, *(pytest.param(r, marks=FULL) for r in Reset if r != Reset.SUBTRACT)]
)
@pytest.mark.parametrize("name", ["spikeloom", *(pytest.param(n, marks=FULL) for n in NUMERICS if n != "spikeloom")])
def test_neuron(tmp_path: Path, name: str, reset: Reset) -> None:
    top = NeuronProof(neuron, NUMERICS[name], reset)
    assert prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=DEPTH).passed
    assert prover.cover(top, tmp_path).passed


@pytest.mark.parametrize("name", ["spikeloom", pytest.param("SMALL", marks=FULL), pytest.param("loihi", marks=FULL)])
def test_short_neuron(tmp_path: Path, name: str) -> None:
    top = NeuronProof(neuron, NUMERICS[name], Reset.SUBTRACT, short=True)
    depth = len(NeuronPipeline.ENDS) + 2
    assert prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=depth).passed
    assert prover.cover(top, tmp_path).passed
    bug = NeuronProof(prover.planted("fires-at-theta"), NUMERICS[name], Reset.SUBTRACT, short=True)
    assert not prover.prove(bug, tmp_path / "bug", engine=prover.BOOLECTOR, depth=depth, bounded=True).passed


@pytest.mark.parametrize("name", ["spikeloom", "loihi"])
@pytest.mark.parametrize("adaptation", [pytest.param(a, marks=FULL) for a in Adaptation])
def test_adaptive_neuron(tmp_path: Path, name: str, adaptation: Adaptation) -> None:
    top = NeuronProof(neuron, NUMERICS[name], Reset.SUBTRACT, adaptation)
    assert prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=DEPTH).passed
    assert prover.cover(top, tmp_path).passed


@FULL
@pytest.mark.parametrize("name", ["spikeloom", "loihi"])
def test_neuron_of_several_spikes(tmp_path: Path, name: str) -> None:
    top = NeuronProof(neuron, NUMERICS[name], Reset.SUBTRACT, spike_bits=SPIKE_BITS)
    assert prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=DEPTH + SPIKE_BITS).passed
    assert prover.cover(top, tmp_path).passed


@FULL
@pytest.mark.parametrize("bug", SEVERAL_BUGS)
def test_neuron_of_several_spikes_catches(tmp_path: Path, bug: str) -> None:
    top = NeuronProof(prover.planted(bug), NUMERICS["spikeloom"], Reset.SUBTRACT, spike_bits=SPIKE_BITS)
    depth = DEPTH + SPIKE_BITS
    assert not prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=depth, bounded=True).passed


@pytest.mark.parametrize("bug", [pytest.param(b, marks=FULL) for b in ADAPTIVE_BUGS])
def test_adaptive_neuron_catches(tmp_path: Path, bug: str) -> None:
    top = NeuronProof(prover.planted(bug), NUMERICS["spikeloom"], Reset.SUBTRACT, ADAPTIVE_BUGS[bug])
    assert not prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=DEPTH, bounded=True).passed


@pytest.mark.parametrize(
    "bug", ["fires-at-theta", *(pytest.param(b, marks=FULL) for b in BUGS if b != "fires-at-theta")]
)
def test_neuron_catches(tmp_path: Path, bug: str) -> None:
    name, reset = BUGS[bug]
    top = NeuronProof(prover.planted(bug), NUMERICS[name], reset)
    assert not prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=DEPTH, bounded=True).passed
