"""The neuron's equation as a pipeline of named stages, one neuron a cycle."""

from amaranth import *

from spikeloom.contract.neuron import LATENCY_BITS, Reset
from spikeloom.contract.numerics import DECAY_BITS, LOIHI_SHIFT, Numerics, Profile

from .stage import RigidPipeline


class NeuronPipeline:
    """The stages of one neuron, built into the module of the unit that owns the memories.

    Bit for bit :func:`spikeloom_sim.golden.step`; the equation is that of :mod:`spikeloom.contract.neuron`.

    ::

        1 multiply    alpha * u, beta * v; is the neuron active in this tick?
        2 decay       round both products
        3 integrate   u: + weighted sum + bias;  v: + bias - delayed reset
        4 limit_u     u fits its width
        5 join        v: + the new u
        6 limit_v     v fits its width
        7 floor       v is at least v_min
        8 compare     v > theta
        9 reset       refractory, fire, reset

    Parameters
    ----------
    m : :class:`Module`
    name : prefix of the registers' names.
    numerics :
    state, parameters, biases, acc : records and the weighted sum, in the cycle of stage 1.
    tick, flush : number of the tick and of the flush tick, which do not change during an update.
    """

    LATENCY = 9

    def __init__(self, m: Module, name: str, numerics: Numerics, *, state, parameters, biases, acc, tick, flush):
        self.m, self.numerics = m, numerics
        self.pipe = RigidPipeline(m, name)
        self.pipe.set(
            u=state.u, v=state.v, r=state.r, s=state.s, acc=acc, bias=biases.bias, bias_u=biases.bias_u,
            **{field: parameters[field] for field in parameters.shape().members},
        )  # fmt: skip
        self._multiply(tick, flush)
        self._decay()
        self._integrate()
        self._limit_u()
        self._join()
        self._limit_v()
        self._floor()
        self._compare()
        self._reset()

    @property
    def result(self) -> RigidPipeline:
        """``u v r s`` to write back, ``fired`` (like s) and ``saturations`` (0 to 2), :attr:`LATENCY` cycles later."""
        return self.pipe

    def _multiply(self, tick: Value, flush: Value) -> None:
        pipe = self.pipe
        held = pipe["latency"]
        # NEVER is the highest latency, and the tick saturates below it.
        active = (held <= tick) & ((flush == 0) | (held >= flush))
        assert len(held) == LATENCY_BITS
        pipe.set(
            active=active,
            scaled_u=pipe["alpha"] * pipe["u"],
            scaled_v=pipe["beta"] * pipe["v"],
            old_u=pipe["u"],
            old_v=pipe["v"],
            old_s=pipe["s"],
            waits=pipe["r"] != 0,
        )
        if self.numerics.profile is Profile.LOIHI:
            exponent = pipe["weight_exponent"]
            acc = pipe["acc"]
            pipe.set(acc=Mux(exponent < 0, acc >> (-exponent)[:4], acc << exponent[:3]))
            pipe.drop("weight_exponent")
        pipe.drop("alpha", "beta", "latency", "u", "v", "s")
        pipe.step()

    def _round(self, product: Value) -> Value:
        """A product over ``2**12``: half up, or in the loihi profile toward zero. Its magnitude does not grow."""
        if self.numerics.profile is Profile.LOIHI:
            bias = Mux(product < 0, (1 << DECAY_BITS) - 1, 0)
        else:
            bias = C(1 << DECAY_BITS - 1, DECAY_BITS + 1)
        return ((product + bias) >> DECAY_BITS)[: self.numerics.state_bits].as_signed()

    def _decay(self) -> None:
        pipe = self.pipe
        pipe.set(u=self._round(pipe["scaled_u"]), v=self._round(pipe["scaled_v"]))
        pipe.drop("scaled_u", "scaled_v")
        pipe.step()

    def _integrate(self) -> None:
        pipe = self.pipe
        shift = LOIHI_SHIFT if self.numerics.profile is Profile.LOIHI else self.numerics.fraction_bits
        delayed = Mux(pipe["old_s"] & (pipe["reset"] == Reset.SUBTRACT_DELAYED), pipe["v_sub"], 0)
        pipe.set(u=pipe["u"] + (pipe["acc"] << shift) + pipe["bias_u"], v=pipe["v"] + pipe["bias"] - delayed)
        pipe.drop("acc", "bias", "bias_u")
        pipe.step()

    def _limits(self, total: Value) -> tuple[Value, Value]:
        """Whether a sum lies above, and whether below, the range of the state."""
        low, high = self.numerics.state_min, self.numerics.state_max
        return total > high, total < low

    def _limit_u(self) -> None:
        pipe, bits = self.pipe, self.numerics.state_bits
        if self.numerics.profile is Profile.LOIHI:
            wrapped = pipe["u"][:bits].as_signed()
            pipe.set(u=wrapped, limited_u=wrapped != pipe["u"])
        else:
            above, below = self._limits(pipe["u"])
            pipe.set(u=self._clip(pipe["u"], above, below), limited_u=above | below)
        pipe.step()

    def _clip(self, total: Value, above: Value, below: Value) -> Value:
        low, high = self.numerics.state_min, self.numerics.state_max
        state = signed(self.numerics.state_bits)
        return Mux(above, C(high, state), Mux(below, C(low, state), total))[: self.numerics.state_bits].as_signed()

    def _join(self) -> None:
        pipe = self.pipe
        pipe.set(v=pipe["v"] + pipe["u"])
        pipe.step()

    def _limit_v(self) -> None:
        pipe = self.pipe
        above, below = self._limits(pipe["v"])
        pipe.set(v=self._clip(pipe["v"], above, below), limited_v=above | below)
        pipe.step()

    def _floor(self) -> None:
        pipe = self.pipe
        pipe.set(v=Mux(pipe["v"] < pipe["v_min"], pipe["v_min"], pipe["v"]))
        pipe.drop("v_min")
        pipe.step()

    def _compare(self) -> None:
        pipe, bits = self.pipe, self.numerics.state_bits
        # The contract keeps theta >= -1 and v_sub >= 0 where this is used: the difference cannot overflow.
        lowered = (pipe["v"] - pipe["v_sub"])[:bits].as_signed()
        pipe.set(above=pipe["v"] > pipe["theta"], lowered=lowered)
        pipe.drop("theta", "v_sub")
        pipe.step()

    def _reset(self) -> None:
        m, pipe, bits = self.m, self.pipe, self.numerics.state_bits
        active, waits = pipe["active"], pipe["waits"]
        fired = active & ~waits & pipe["above"]
        v = Signal(signed(bits), name=f"{pipe.name}_v_next")
        m.d.comb += v.eq(pipe["v"])
        with m.If(waits):
            m.d.comb += v.eq(pipe["v_reset"])
        with m.Elif(pipe["above"]), m.Switch(pipe["reset"]):
            with m.Case(Reset.VALUE):
                m.d.comb += v.eq(pipe["v_reset"])
            with m.Case(Reset.SUBTRACT):
                m.d.comb += v.eq(pipe["lowered"])
        r = Mux(waits, pipe["r"] - 1, Mux(pipe["above"], pipe["refractory"], 0))[: len(pipe["r"])]
        limited_v = pipe["limited_v"] & ~waits
        pipe.set(
            u=Mux(active, pipe["u"], pipe["old_u"]),
            v=Mux(active, v, pipe["old_v"]),
            r=Mux(active, r, pipe["r"]),
            s=fired,
            saturations=Mux(active, pipe["limited_u"] + limited_v, 0),
        )
        pipe.drop(
            "active", "waits", "above", "lowered", "limited_u", "limited_v",
            "old_u", "old_v", "old_s", "reset", "refractory", "v_reset",
        )  # fmt: skip
        pipe.step()
