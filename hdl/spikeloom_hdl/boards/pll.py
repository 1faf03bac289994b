"""iCE40's PLL: another clock out of the board's, and its reset."""

from amaranth import *
from amaranth.lib.cdc import ResetSynchronizer

FEEDBACK_MAX, OUTPUT_MAX = 127, 6
VCO_HZ = (533e6, 1066e6)
"""Range of the oscillator: Lattice FPGA-TN-02052, iCE40 sysCLOCK PLL."""

BLOCK_RAM_SECONDS = 15e-6
"""After power-up, iCE40's block RAMs read as zeros for some microseconds (icestorm issue 76, with a margin)."""


class Pll(Elaboratable):
    """``hz = reference * (feedback + 1) / 2**output``, out of the board's clock, whose pin is the PLL's own.

    Parameters
    ----------
    hz :
        The clock that is wanted; ``ValueError`` where the PLL cannot make exactly that.
    reference :
        The board's default clock.

    Attributes
    ----------
    domain : :class:`ClockDomain`
        The clock, in reset until the PLL is stable and block RAMs can be read.
    """

    def __init__(self, hz: float, reference: float):
        self.hz, self.reference = hz, reference
        self.feedback, self.output = divisors(hz, reference)
        self.domain = ClockDomain("sync")

    def elaborate(self, platform):
        m = Module()
        pin = platform.request(platform.default_clk, dir="-")
        clock, locked = Signal(), Signal()
        m.submodules.pll = Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE", p_DIVR=0, p_DIVF=self.feedback, p_DIVQ=self.output, p_FILTER_RANGE=1,
            i_PACKAGEPIN=pin.io, i_RESETB=Const(1), i_BYPASS=Const(0), o_PLLOUTGLOBAL=clock, o_LOCK=locked,
        )  # fmt: skip
        # Counts up: what does not count yet is not out of reset.
        m.domains.waits = ClockDomain(reset_less=True, local=True)
        wait = int(BLOCK_RAM_SECONDS * self.hz)
        waited, ready = Signal(range(wait + 1)), Signal()
        m.d.comb += [ClockSignal("waits").eq(clock), self.domain.clk.eq(clock), ready.eq(waited == wait)]
        with m.If(locked & ~ready):
            m.d.waits += waited.eq(waited + 1)
        m.submodules.reset = ResetSynchronizer(~ready, domain="sync")
        return m


def divisors(hz: float, reference: float) -> tuple[int, int]:
    """DIVF and DIVQ."""
    for output in range(1, OUTPUT_MAX + 1):
        vco = hz * 2**output
        feedback = round(vco / reference) - 1
        if VCO_HZ[0] <= vco <= VCO_HZ[1] and feedback <= FEEDBACK_MAX and (feedback + 1) * reference == vco:
            return feedback, output
    raise ValueError(f"no PLL of an iCE40 makes {hz / 1e6:g} MHz of {reference / 1e6:g}")
