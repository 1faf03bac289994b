"""The neuron's equation as a pipeline of named stages, one neuron a cycle."""

from collections.abc import Callable

from amaranth import *

from spikeloom.contract.neuron import LATENCY_BITS, Adaptation, Reset
from spikeloom.contract.numerics import DECAY_BITS, LOIHI_SHIFT, Numerics, Profile

from .multiplier import Multiplier
from .stage import RigidPipeline

FACTOR_BITS = 17
"""Bits of a state that a multiplier of 18 signed bits takes, without their sign."""


Delay = Callable[[str, Value, int], Value]
"""Name, value and cycles: the value that many cycles later."""


class NeuronPipeline:
    """The stages of one neuron, built into the module of the unit that owns the memories.

    Bit for bit :func:`spikeloom_sim.golden.step`; the equation is that of :mod:`spikeloom.contract.neuron`.

    ::

        1 factors     into the multipliers: alpha, u; beta, v;  is the neuron active in this tick?
        2 multiply    alpha * u, beta * v; the weighted sum comes in
        3 gather      the products' two halves;  u: weighted sum + bias;  v: bias - delayed reset
        4 integrate   both: + the product
        5 limit_u     u fits its width
        6 join        v: + the new u
        7 floor       v < v_min?
        8 limit_v     v fits its width and is at least v_min
        9 compare     v > theta
       10 choose      refractory, fire, reset: which potential is it to be?
       11 result

    With an adaptation (a state ``a``), beside these: the decay in stages 1 to 4 as of ``u``; 5 what raises the
    threshold, and ``a`` grown by a step; 6 the threshold raised, the grown ``a`` within its width; 10 which of the two.

    With several spikes a tick (a parameter ``spike_bits``), between 9 and 10 a stage for each bit of their number, from
    the highest one on: ``v >= v_sub << bit``? Then this bit is one, and that much is taken from the potential. Stage 9
    sees whether there are more spikes than all bits can tell.

    A neuron that is not active is not written back. What is added under a condition is made zero by the reset
    of a register in the stage in front, which costs nothing.

    Parameters
    ----------
    m : :class:`Module`
    name : prefix of the registers' names.
    numerics :
    state, parameters, biases : records, in the cycle of stage 1.
    acc : the weighted sum, a cycle later.
    tick, flush : number of the tick and of the flush tick, which do not change during an update.
    clear : the result of the next cycle is to be zeros.
    delay : how values wait that are wanted much later, or None: in registers.
    short : only the stages of :attr:`ENDS` end in registers, and one for each bit of a number of spikes.
    """

    STAGES = 11
    """Of a neuron that sends one spike a tick."""
    ENDS = (1, 4, 8, 11)
    """Stages of a short pipeline that end in registers; each of the others goes on in the same cycle."""

    def __init__(
        self, m: Module, name: str, numerics: Numerics, *,
        state, parameters, biases, acc, tick, flush, clear, delay: Delay | None = None, short: bool = False,
    ):  # fmt: skip
        self.m, self.numerics, self.delay = m, numerics, delay
        self.adaptive = "a" in state.shape().members
        self.decaying = ("u", "v", "a") if self.adaptive else ("u", "v")
        # Several spikes a tick: as many bits as the state holds of their number.
        self.spike_bits = len(state.s) if "spike_bits" in parameters.shape().members else 0
        self.short, self.stage, self.latency = short, 0, 0
        self.aside: dict[str, tuple[Value, int]] = {}
        self.returned: set[str] = set()
        self.products: dict[str, Value] = {}
        self.pipe = RigidPipeline(m, name)
        self.pipe.set(
            **{field: state[field] for field in state.shape().members}, bias=biases.bias, bias_u=biases.bias_u,
            **{field: parameters[field] for field in parameters.shape().members},
        )  # fmt: skip
        self._set_aside("theta", "v_min", "v_reset")
        self._factors(tick, flush)
        self._multiply(acc)
        self._gather()
        self._integrate()
        self._limit_u()
        self._join()
        self._floor()
        self._limit_v()
        self._compare()
        for bit in reversed(range(self.spike_bits)):
            self._quotient(bit)
        self._choose()
        self._result(clear)

    def _step(self, always: bool = False) -> None:
        """The next stage."""
        self.stage += not always
        if always or not self.short or self.stage in self.ENDS:
            self.pipe.step()
            self.latency += 1

    def _set_aside(self, *names: str) -> None:
        """Values that are wanted much later: they wait in RAM where there is a ``delay``, otherwise in the pipeline."""
        if self.delay is not None:
            self.aside |= {name: (self.pipe[name], self.pipe.stage) for name in names}
            self.pipe.drop(*names)

    def _take_back(self, *names: str) -> None:
        if self.delay is not None:
            for name in names:
                value, stage = self.aside.pop(name)
                again = "_again" if name in self.returned else ""
                self.returned.add(name)
                back = self.delay(f"{self.pipe.name}{name}{again}", Value.cast(value), self.pipe.stage - stage)
                self.pipe.set(**{name: back.as_signed() if value.shape().signed else back})

    @property
    def result(self) -> RigidPipeline:
        """The state to write back if ``active``, and ``saturations`` (0 to 4), :attr:`latency` cycles later."""
        return self.pipe

    def _factors(self, tick: Value, flush: Value) -> None:
        pipe = self.pipe
        held = pipe["latency"]
        # NEVER is the highest latency, and the tick saturates below it. Comparisons are all of the kind that
        # synthesis needs a carry chain for and nothing else: less than, and its contrary.
        active = (tick >= held) & (held >= flush)
        assert len(held) == LATENCY_BITS
        fired = pipe["s"].any() if self.spike_bits else pipe["s"]
        delayed = Mux(fired & (pipe["reset"] == Reset.SUBTRACT_DELAYED), pipe["v_sub"], 0)
        if self.adaptive:
            delayed = Mux(pipe["adaptation"] == Adaptation.INPUT, pipe["a"], delayed)
        for factor, state in zip(("alpha", "beta", "gamma"), self.decaying, strict=False):
            for part, value in (("low", self._low(pipe[state])), ("high", self._high(pipe[state]))):
                if value is not None:
                    self.products[f"{part}_{state}"] = self._multiplier(f"{part}_{state}", pipe[factor], value)
            pipe.drop(factor)
        pipe.set(
            active=active,
            delayed=delayed,
            waits=pipe["r"] != 0,
        )
        pipe.drop("latency", "u", "v", "s")
        self._set_aside("v_sub")
        self._step()

    def _multiplier(self, name: str, a: Value, b: Value) -> Value:
        multiplier = Multiplier(a.shape(), b.shape(), registers=1 if self.short else 2)
        self.m.submodules[f"{self.pipe.name}{name}"] = multiplier
        self.m.d.comb += [multiplier.a.eq(a), multiplier.b.eq(b)]
        return multiplier.product

    def _multiply(self, acc: Value) -> None:
        pipe = self.pipe
        if self.numerics.profile is Profile.LOIHI:
            exponent = pipe["weight_exponent"]
            acc = Mux(exponent < 0, acc >> (-exponent)[:4], acc << exponent[:3])
            pipe.drop("weight_exponent")
        pipe.set(acc=acc)
        self._step()

    def _low(self, state: Value) -> Value:
        """The part of a state that the first multiplier takes: all of it, or the low bits without a sign."""
        return state[:FACTOR_BITS] if len(state) > FACTOR_BITS + 1 else state

    def _high(self, state: Value) -> Value | None:
        return state[FACTOR_BITS:].as_signed() if len(state) > FACTOR_BITS + 1 else None

    def _divide(self, name: str) -> tuple[Value, Value]:
        """A product over ``2**12``, rounded down, and whether it has to be one more.

        It is rounded half up, or in the loihi profile toward zero.
        """
        low, high = self.products[f"low_{name}"], self.products.get(f"high_{name}")
        rest = low[:DECAY_BITS]
        product = low
        if high is not None:
            product = Cat(low[:FACTOR_BITS], high + low[FACTOR_BITS:]).as_signed()
        down = (product >> DECAY_BITS)[: self.numerics.state_bits].as_signed()
        if self.numerics.profile is Profile.LOIHI:
            return down, (product < 0) & (rest != 0)
        return down, rest[-1]

    def _gather(self) -> None:
        pipe = self.pipe
        shift = LOIHI_SHIFT if self.numerics.profile is Profile.LOIHI else self.numerics.fraction_bits
        for state in self.decaying:
            down, up = self._divide(state)
            pipe.set(**{f"down_{state}": down, f"up_{state}": up})
        pipe.set(u=(pipe["acc"] << shift) + pipe["bias_u"], v=pipe["bias"] - pipe["delayed"])
        pipe.drop("acc", "bias", "bias_u", "delayed")
        self._step()

    def _integrate(self) -> None:
        pipe = self.pipe
        for name in ("u", "v"):
            # One adder: the one to be added enters as the carry of a bit below the lowest.
            up, down, gathered = pipe[f"up_{name}"], pipe[f"down_{name}"], pipe[name]
            total = Cat(up, down).as_signed() + Cat(up, gathered).as_signed()
            pipe.set(**{name: total[1:].as_signed()})
            pipe.drop(f"up_{name}", f"down_{name}")
        if self.adaptive:
            bits = self.numerics.state_bits
            pipe.set(faded=(pipe["down_a"] + pipe["up_a"])[:bits].as_signed())
            pipe.drop("up_a", "down_a")
        self._step()

    def _beyond(self, total: Value) -> Value:
        """Whether a sum does not fit the state's bits: those from the sign on are not all alike."""
        top = total[self.numerics.state_bits - 1 :]
        return ~(top.all() | ~top.any())

    def _limit_u(self) -> None:
        pipe, bits = self.pipe, self.numerics.state_bits
        if self.numerics.profile is Profile.LOIHI:
            wrapped = pipe["u"][:bits].as_signed()
            pipe.set(u=wrapped, limited_u=wrapped != pipe["u"])
        else:
            total = pipe["u"]
            beyond, sign = self._beyond(total), total[-1]
            # Of the two ends of the range, one is the other's bits inverted.
            end = Cat((~sign).replicate(bits - 1), sign)
            pipe.set(u=Mux(beyond, end, total[:bits]).as_signed(), limited_u=beyond)
        if self.adaptive:
            kind = pipe["adaptation"]
            raises = Mux(kind == Adaptation.THRESHOLD, pipe["a"], pipe["faded"])
            pipe.set(raised=Mux(kind == Adaptation.INPUT, 0, raises), grown=pipe["faded"] + pipe["step"])
            pipe.drop("adaptation", "a", "step")
        self._step()

    def _adapt(self) -> None:
        """Beside the join: the threshold of this tick, and the adaptation after a spike."""
        pipe, bits = self.pipe, self.numerics.state_bits
        self._take_back("theta")
        grown = pipe["grown"]
        beyond, sign = self._beyond(grown), grown[-1]
        lowest = Const(0)
        if self.numerics.profile is Profile.LOIHI:
            lowest = Const(1)
            beyond = beyond | (grown == self.numerics.state_min - 1)
        end = Cat(~sign | lowest, (~sign).replicate(bits - 2), sign)
        pipe.set(grown=Mux(beyond, end, grown[:bits]).as_signed(), limited_a=beyond)
        pipe.set(theta=pipe["theta"] + pipe["raised"])
        pipe.drop("raised")
        self._set_aside("theta", "grown", "faded")

    def _join(self) -> None:
        pipe, bits = self.pipe, self.numerics.state_bits
        self._take_back("v_min")
        if self.adaptive:
            self._adapt()
        pipe.set(v=pipe["v"] + pipe["u"])
        self._set_aside("u")
        if self.numerics.profile is Profile.LOIHI:
            # The least number is one below the least potential: as a floor it is none.
            pipe.set(v_min=pipe["v_min"] | (pipe["v_min"] == C(-1 << bits - 1, signed(bits))))
        self._step()

    def _floor(self) -> None:
        pipe = self.pipe
        total = pipe["v"]
        beyond = self._beyond(total)
        limited = beyond
        if self.numerics.profile is Profile.LOIHI:
            limited = beyond | (total == C(self.numerics.state_min - 1, signed(self.numerics.state_bits)))
        pipe.set(above=beyond & ~total[-1], under=total < pipe["v_min"], limited_v=limited)
        self._step()

    def _limit_v(self) -> None:
        pipe, bits = self.pipe, self.numerics.state_bits
        above = Cat(pipe["above"].replicate(bits - 1), C(0, 1))
        inside = Cat(pipe["v"][: bits - 1], pipe["v"][bits - 1] & ~pipe["above"])
        # The floor is within the range of the state: whoever is below that is below the floor.
        pipe.set(v=Mux(pipe["under"], pipe["v_min"], above | inside)[:bits].as_signed())
        pipe.drop("above", "under", "v_min")
        self._step()

    def _compare(self) -> None:
        pipe, bits = self.pipe, self.numerics.state_bits
        self._take_back("theta", "v_sub")
        # The contract keeps theta >= -1 and v_sub >= 0 where this is used: the difference cannot overflow.
        lowered = (pipe["v"] - pipe["v_sub"])[:bits].as_signed()
        pipe.set(above=pipe["theta"] < pipe["v"], lowered=lowered)
        pipe.drop("theta")
        if self.spike_bits:
            several = pipe["spike_bits"] != 0
            pipe.set(
                several=several,
                lowered=Mux(several, pipe["v"], lowered),
                count=C(0, 0),
                limited_s=self._goes_into(pipe["v"], self.spike_bits)[0],
            )
        else:
            pipe.drop("v_sub")
        self._step()

    def _goes_into(self, rest: Value, bit: int) -> tuple[Value, Value]:
        """Whether ``rest >= v_sub << bit``, both not negative, and the difference over ``2**bit``."""
        magnitude = self.numerics.state_bits - 1
        difference = rest[bit:magnitude] - self.pipe["v_sub"][:magnitude]
        return ~difference[-1], difference

    def _quotient(self, bit: int) -> None:
        """One bit of the number of spikes; a bit that the neuron does not have tells that the number does not fit."""
        pipe, bits = self.pipe, self.numerics.state_bits
        goes, difference = self._goes_into(pipe["lowered"], bit)
        known = pipe["spike_bits"] > bit
        # What is left is not negative, and no larger than before.
        left = Cat(pipe["lowered"][:bit], difference[: bits - 1 - bit], C(0, 1)).as_signed()
        pipe.set(
            lowered=Mux(goes & known, left, pipe["lowered"])[:bits].as_signed(),
            count=Cat(goes & known, pipe["count"]),
            limited_s=pipe["limited_s"] | (goes & ~known),
        )
        if not bit:
            pipe.set(count=Mux(pipe["several"], pipe["count"], 1), limited_s=pipe["limited_s"] & pipe["several"])
            pipe.drop("v_sub", "spike_bits", "several")
        self._step(always=True)

    def _choose(self) -> None:
        pipe = self.pipe
        self._take_back("v_reset")
        waits, reset = pipe["waits"], pipe["reset"]
        fired = Signal(name=f"{pipe.name}_fired")
        to_value = Signal(name=f"{pipe.name}_to_value")
        subtracts = Signal(name=f"{pipe.name}_subtracts")
        self.m.d.comb += [
            fired.eq(pipe["active"] & ~waits & pipe["above"]),
            to_value.eq(waits | (pipe["above"] & (reset == Reset.VALUE))),
            subtracts.eq(~waits & pipe["above"] & (reset == Reset.SUBTRACT)),
        ]
        r = Mux(waits, pipe["r"] - 1, Mux(pipe["above"], pipe["refractory"], 0))[: len(pipe["r"])]
        limited = pipe["limited_u"] + (pipe["limited_v"] & ~waits)
        if self.adaptive:
            self._take_back("grown", "faded")
            spikes = ~waits & pipe["above"]
            pipe.set(a=Mux(spikes, pipe["grown"], pipe["faded"]))
            limited = limited + (pipe["limited_a"] & spikes)
            pipe.drop("grown", "faded", "limited_a")
        if self.spike_bits:
            limited = limited + (pipe["limited_s"] & ~waits & pipe["above"])
        pipe.set(
            v=Mux(to_value | subtracts, 0, pipe["v"]),
            v_reset=Mux(to_value, pipe["v_reset"], 0),
            lowered=Mux(subtracts, pipe["lowered"], 0),
            r=r,
            s=Mux(fired, pipe["count"], 0) if self.spike_bits else fired,
            saturations=Mux(pipe["active"], limited, 0),
        )
        pipe.drop("waits", "above", "limited_u", "limited_v", "reset", "refractory")
        if self.spike_bits:
            pipe.drop("count", "limited_s")
        self._step()

    def _result(self, clear: Value) -> None:
        pipe = self.pipe
        self._take_back("u")
        v = (pipe["v"] | pipe["v_reset"] | pipe["lowered"])[: self.numerics.state_bits].as_signed()
        pipe.set(v=v)
        for state in (*self.decaying, "r", "s"):
            pipe.set(**{state: Mux(clear, 0, pipe[state])})
        pipe.drop("v_reset", "lowered")
        self._step()
