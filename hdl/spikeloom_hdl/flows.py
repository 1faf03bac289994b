"""The tools of each family of chips, and the options by which benches measure them."""

from dataclasses import dataclass, field

from .boards.build import TOOLS


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """How a netlist comes onto a chip.

    Attributes:
        synthesis: Yosys' command, as boards are built.
        abc9: whether cores and whole chips are measured with ABC9, which takes longer, for a faster clock.
        nextpnr: the program, by the names of :data:`.boards.build.TOOLS`.
        chip: its options that choose the chip.
        placement: its options for placing and routing.
        constraints: text of the files that these name.
        resources: nextpnr's names by ours.
    """

    synthesis: str
    abc9: bool = False
    nextpnr: str
    chip: tuple[str, ...]
    placement: tuple[str, ...] = ()
    constraints: dict[str, str] = field(default_factory=dict)
    resources: dict[str, str]

    @property
    def fast_synthesis(self) -> str:
        """Yosys' command for the fastest clock."""
        return f"{self.synthesis} -abc9" if self.abc9 else self.synthesis

    @property
    def package(self) -> str:
        """The package that nextpnr comes from."""
        return TOOLS[self.nextpnr]


CLOCK_PIN = 'LOCATE COMP "clk" SITE "G2";\n'
"""A pad of the CABGA381 with a way to the clock network; nextpnr may choose one without."""


def ecp5(device: str = "85k", placer: str = "static", router: str = "router2", ripup: bool = True) -> Flow:
    """An ECP5 of speed 6 in a CABGA381; ``device`` is nextpnr's option.

    With ``ripup`` router2 goes on until all ways are as fast as asked: where that cannot be, it does not end.
    """
    return Flow(
        synthesis="synth_ecp5",
        abc9=True,
        nextpnr="nextpnr-ecp5",
        chip=(f"--{device}", "--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained"),
        placement=(
            "--placer", placer, "--router", router, "--lpf", "pins.lpf",
            *(["--tmg-ripup"] if ripup and router == "router2" else []),
        ),
        constraints={"pins.lpf": CLOCK_PIN},
        resources={"COMB": "TRELLIS_COMB", "FF": "TRELLIS_FF", "RAM": "DP16KD", "DSP": "MULT18X18D"},
    )  # fmt: skip


FLOWS = {
    "ecp5": ecp5(),
    "ice40": Flow(
        synthesis="synth_ice40 -device u -dsp",
        nextpnr="nextpnr-ice40",
        chip=("--up5k", "--package", "sg48", "--pcf-allow-unconstrained"),
        resources={"LC": "ICESTORM_LC", "EBR": "ICESTORM_RAM", "SPRAM": "ICESTORM_SPRAM", "DSP": "ICESTORM_DSP"},
    ),
    "gowin": Flow(
        synthesis="synth_gowin -family gw2a",
        nextpnr="nextpnr-himbaechel",
        chip=("--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C", "--vopt", "cst=pins.cst"),
        constraints={
            "pins.cst": "".join(
                f'IO_LOC "{pin}" {place};\n' for pin, place in (("clk", 4), ("rst", 88), ("i", 25), ("o", 26))
            )
        },
        resources={"COMB": "LUT4", "FF": "DFF", "RAM": "BSRAM", "DSP": "MULT18X18"},
    ),
}
"""By family. Gowin's nextpnr, whose pins must all have a place, comes with the extra ``chips``."""
