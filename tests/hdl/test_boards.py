# amaranth: UnusedElaboratable=no
"""The boards' tops: what goes wrong on the line, what other people's tools say of the source, bitstreams."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cocotb
import pytest

from spikeloom.contract.boards import BOARDS
from spikeloom.contract.config import ArrayConfig, CoreConfig
from spikeloom.contract.errors import ConfigError
from spikeloom.contract.numerics import Numerics
from spikeloom.contract.stream import ERROR_LAYOUT, MAGIC, Error, Info, Operation, Reply, control_word
from spikeloom_hdl.boards import TARGETS
from spikeloom_hdl.boards import build as build_module
from spikeloom_hdl.boards.build import BitstreamError, Use, build_bitstream, read_report, tool_path
from spikeloom_hdl.boards.pll import divisors
from spikeloom_hdl.boards.uart_top import UartTop
from spikeloom_hdl.generate import systemverilog
from spikeloom_sim.bench import cycles, simulate, start
from spikeloom_sim.toolchain import VERILATOR_ROOT, verilator_environment

SMALL = ArrayConfig(
    key_bits=2,
    index_bits=4,
    core=CoreConfig(
        lanes=2,
        rows=4,
        words=32,
        projections=4,
        entries=4,
        sparse=True,
        event_fifo=4,
        spike_fifo=4,
        numerics=Numerics(weight_bits=4, accumulator_bits=12, state_bits=12),
    ),
)
DIVISOR = 4
SILENCE = 100  # bits


# The line.


def test_uart_top(tmp_path: Path) -> None:
    simulate(UartTop(SMALL, DIVISOR, SILENCE), __name__, tmp_path)


async def put_byte(dut, value: int, *, stop: int = 1) -> None:
    for bit in [0, *((value >> n) & 1 for n in range(8)), stop]:
        dut.rx.value = bit
        await cycles(dut, DIVISOR)
    dut.rx.value = 1


async def put_word(dut, value: int) -> None:
    for byte in int(value).to_bytes(4, "little"):
        await put_byte(dut, byte)


class Line:
    """Collects the words that the board sends."""

    def __init__(self, dut):
        self._dut, self._bytes = dut, bytearray()
        cocotb.start_soon(self._run())

    @property
    def words(self) -> list[int]:
        assert len(self._bytes) % 4 == 0
        return [int.from_bytes(self._bytes[n : n + 4], "little") for n in range(0, len(self._bytes), 4)]

    async def _run(self) -> None:
        dut = self._dut
        while True:
            while int(dut.tx.value):
                await cycles(dut, 1)
            await cycles(dut, DIVISOR // 2)
            byte = 0
            for n in range(8):
                await cycles(dut, DIVISOR)
                byte |= int(dut.tx.value) << n
            await cycles(dut, DIVISOR)
            assert int(dut.tx.value), "no stop bit"
            self._bytes.append(byte)


async def power_up(dut) -> Line:
    await start(dut, {"rx": 1})
    return Line(dut)


QUERY = int(control_word(Operation.QUERY)[0])
ANSWER_CYCLES = (len(Info) + 3) * 40 * DIVISOR


def check_answer(words: list[int]) -> None:
    assert len(words) == 1 + len(Info)
    assert (words[0] >> 30, words[1]) == (Reply.DATA, MAGIC)


def link_error(words: list[int]) -> int:
    """The only word, and how many it says were lost."""
    (word,) = words
    layout = {field.name: field.bits for field in ERROR_LAYOUT.fields}
    assert word >> 30 == Reply.ERROR
    assert word >> layout["argument"] & 63 == Error.LINK
    return word & (1 << layout["argument"]) - 1


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def answers(dut) -> None:
    line = await power_up(dut)
    await put_word(dut, QUERY)
    await cycles(dut, ANSWER_CYCLES)
    check_answer(line.words)
    assert not int(dut.deaf.value)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def a_broken_byte_makes_deaf_until_silence(dut) -> None:
    line = await power_up(dut)
    await put_word(dut, QUERY)  # came before, is answered
    await put_byte(dut, 0x55, stop=0)
    await put_word(dut, QUERY)  # comes behind, is dropped: nobody knows what it means
    await put_word(dut, QUERY)
    assert int(dut.deaf.value)
    for _ in range(ANSWER_CYCLES // (20 * DIVISOR)):  # no silence as long as something comes
        await put_byte(dut, 0xFF)
        await cycles(dut, 5 * DIVISOR)
    assert int(dut.deaf.value)
    check_answer(line.words)
    await cycles(dut, (SILENCE + 60) * DIVISOR)
    assert not int(dut.deaf.value)
    await cycles(dut, 10 * DIVISOR)
    assert link_error(line.words[1 + len(Info) :]) >= 2
    await put_word(dut, QUERY)
    await cycles(dut, ANSWER_CYCLES)
    check_answer(line.words[2 + len(Info) :])


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(count=[1, 2, 3])
async def an_incomplete_word_is_found_by_silence(dut, count: int) -> None:
    line = await power_up(dut)
    for _ in range(count):
        await put_byte(dut, 0x80)
    await cycles(dut, (SILENCE - 20) * DIVISOR)
    assert not line.words
    await cycles(dut, 100 * DIVISOR)
    assert link_error(line.words) == 0
    await put_word(dut, QUERY)
    await cycles(dut, ANSWER_CYCLES)
    check_answer(line.words[1:])


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def silence_between_words_is_nothing(dut) -> None:
    line = await power_up(dut)
    await cycles(dut, 3 * SILENCE * DIVISOR)
    await put_word(dut, QUERY)
    await cycles(dut, ANSWER_CYCLES + 3 * SILENCE * DIVISOR)
    check_answer(line.words)


# Other people's tools.


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    (folder / "top.sv").write_text(systemverilog(UartTop(SMALL, DIVISOR)))
    return folder


def test_the_same_source_again(source: Path) -> None:
    text = (source / "top.sv").read_text()
    assert systemverilog(UartTop(SMALL, DIVISOR)) == text
    assert "/work" not in text
    assert str(Path.home()) not in text


# What a generator's text is like: names of its own, widths that it leaves to the language.
LINT_WAIVERS = ("DECLFILENAME", "UNUSEDSIGNAL", "PROCASSINIT", "WIDTHEXPAND", "WIDTHTRUNC", "CASEINCOMPLETE")


def test_verilator_lint(source: Path) -> None:
    """No latch, no loop, no undriven signal, nothing driven twice."""
    command = [VERILATOR_ROOT / "bin" / "verilator_bin", "--lint-only", "-Wall", "--top-module", "top", "top.sv"]
    command += [f"-Wno-{name}" for name in LINT_WAIVERS]
    done = subprocess.run(
        [str(c) for c in command], cwd=source, env=verilator_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "%Warning" not in done.stderr


def test_icarus_compiles(source: Path) -> None:
    done = subprocess.run(
        ["iverilog", "-g2012", "-o", "top.vvp", "top.sv"], cwd=source, capture_output=True, text=True, check=False
    )
    # "sorry": a process is sensitive to a whole vector where a bit would do.
    said = [line for line in done.stderr.splitlines() if "sorry: constant selects in always_*" not in line]
    said = [line for line in said if "always_comb process has no sensitivities" not in line]
    assert (done.returncode, said) == (0, [])


def test_yosys_synthesises(source: Path) -> None:
    """Multipliers and memories end where they belong."""
    script = "read_verilog -sv top.sv; synth_ecp5 -top top; tee -o stat.json stat -json"
    done = subprocess.run(
        [tool_path("yosys"), "-q", "-l", "yosys.log", "-p", script],
        cwd=source, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    cells = json.loads((source / "stat.json").read_text())["design"]["num_cells_by_type"]
    assert cells.keys() >= {"LUT4", "TRELLIS_FF", "DP16KD", "MULT18X18D", "TRELLIS_DPR16X4"}
    assert not [cell for cell in cells if re.search("LATCH", cell)]
    assert cells["DP16KD"] >= 1  # the queue of the link


# Bitstreams.


def test_every_board_can_be_built() -> None:
    assert TARGETS.keys() == BOARDS.keys()


def test_unknown_board(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ulx3s_85f"):
        build_bitstream(SMALL, "etch-a-sketch", tmp_path)


REPORT = {
    "fmax": {
        "$glbnet$clk": {"achieved": 61.5, "constraint": 25.0},
        "other": {"achieved": 200.0, "constraint": 25.0},
    },
    "utilization": {
        "TRELLIS_COMB": {"available": 83640, "used": 4000},
        "TRELLIS_FF": {"available": 83640, "used": 3000},
        "DP16KD": {"available": 208, "used": 20},
        "MULT18X18D": {"available": 156, "used": 5},
        "DCCA": {"available": 56, "used": 1},
    },
}


def test_report() -> None:
    resources, fmax = read_report(REPORT, TARGETS["ulx3s_85f"].resources)
    assert fmax == 61.5
    assert resources == {
        "LUT": Use(4000, 83640),
        "FF": Use(3000, 83640),
        "block RAM": Use(20, 208),
        "multiplier": Use(5, 156),
    }
    with pytest.raises(BitstreamError, match="clock"):
        read_report({**REPORT, "fmax": {}}, TARGETS["ulx3s_85f"].resources)


def test_pll() -> None:
    """27 MHz of 12: the oscillator at 864 MHz."""
    assert divisors(27e6, 12e6) == (71, 5)
    with pytest.raises(ValueError, match="no PLL of an iCE40 makes"):
        divisors(27.1e6, 12e6)


class Tools:
    """Tools that do nothing, but note that they were called."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.report = REPORT
        self.bodies = {"yosys": "", "ecppack": "open('top.bit', 'w').write('bits')"}

    def path(self, name: str) -> str:
        body = f"open('top.report.json', 'w').write({json.dumps(json.dumps(self.report))})"
        body = self.bodies.get(name, body)
        program = self.folder / name
        program.write_text(
            f"#!{sys.executable}\nimport sys, time\nopen({str(self.folder / 'called')!r}, 'a').write('{name} ')\n{body}"
        )
        program.chmod(0o755)
        return str(program)

    @property
    def called(self) -> list[str]:
        record = self.folder / "called"
        names = record.read_text().split() if record.exists() else []
        record.unlink(missing_ok=True)
        return names


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    (tmp_path / "tools").mkdir()
    fakes = Tools(tmp_path / "tools")
    monkeypatch.setattr(build_module, "tool_path", fakes.path)
    return fakes


ALL_TOOLS = ["yosys", "nextpnr-ecp5", "ecppack"]


def test_a_build_is_reused_while_its_sources_are_the_same(tools: Tools, tmp_path: Path) -> None:
    told: list[str] = []
    report = build_bitstream(SMALL, "ulx3s_85f", tmp_path / "bits", told.append)
    assert (report.reused, tools.called, told) == (False, ALL_TOOLS, ["generating", *ALL_TOOLS])
    assert report.bitstream.read_text() == "bits"
    assert (report.fmax_mhz, report.clock_mhz) == (61.5, 25.0)
    assert report.figures()["LUT"] == 4000
    assert "61.5 MHz" in report.text

    again = build_bitstream(SMALL, "ulx3s_85f", tmp_path / "bits")
    assert (again.reused, tools.called, again.resources) == (True, [], report.resources)
    other = build_bitstream(SMALL.with_core(rows=8), "ulx3s_85f", tmp_path / "bits")
    assert (other.reused, tools.called) == (False, ALL_TOOLS)
    (tmp_path / "bits" / "build.json").write_text("{")
    assert not build_bitstream(SMALL, "ulx3s_85f", tmp_path / "bits").reused


def test_a_failing_tool_is_quoted_and_leaves_nothing_to_reuse(tools: Tools, tmp_path: Path) -> None:
    build_bitstream(SMALL, "ulx3s_85f", tmp_path / "bits")
    tools.bodies["nextpnr-ecp5"] = "print('first'); print('ERROR: no room for 3 cells'); sys.exit(1)"
    with pytest.raises(BitstreamError, match=r"nextpnr-ecp5 failed(.|\n)*no room for 3 cells"):
        build_bitstream(SMALL.with_core(rows=8), "ulx3s_85f", tmp_path / "bits")
    del tools.bodies["nextpnr-ecp5"]
    assert not build_bitstream(SMALL, "ulx3s_85f", tmp_path / "bits").reused


def test_yosys_is_asked_again_without_names_that_look_like_bits(tools: Tools, tmp_path: Path) -> None:
    tools.bodies["yosys"] = "assert not __import__('re').search(r'\\\\\\S+\\[\\d+\\]', open('top.il').read())"
    build_bitstream(SMALL, "ulx3s_85f", tmp_path / "bits")
    assert tools.called == ["yosys", *ALL_TOOLS]
    renamed = (tmp_path / "bits" / "top.il").read_text()
    assert re.search(r"wire width \d+ \S+\[0\]", renamed) is None
    assert re.search(r"\\sums_0_ *\n", renamed), "elements keep their numbers"
    assert re.search(r"\\\S+ \[\d+(:\d+)?\]", renamed), "bits of a signal are none of its elements"

    tools.bodies["yosys"] = "print('ERROR: another'); sys.exit(1)"
    with pytest.raises(BitstreamError, match="another"):
        build_bitstream(SMALL, "ulx3s_85f", tmp_path / "others")


def test_time_limit(tools: Tools, tmp_path: Path) -> None:
    tools.bodies["yosys"] = "time.sleep(60)"
    with pytest.raises(BitstreamError, match=r"yosys was not done after 0\.5 s"):
        build_bitstream(SMALL, "ulx3s_85f", tmp_path / "bits", time_limit=0.5)


def test_too_slow_for_the_clock(tools: Tools, tmp_path: Path) -> None:
    tools.report = {**REPORT, "fmax": {"clk": {"achieved": 21.25, "constraint": 25.0}}}
    with pytest.raises(BitstreamError, match=r"21\.2 MHz at most.*25 MHz"):
        build_bitstream(SMALL, "ulx3s_85f", tmp_path / "bits")


def test_tools_beside_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    for name in ALL_TOOLS:
        assert Path(tool_path(name)).exists()
    monkeypatch.setitem(build_module.TOOLS, "yosys", "yowasp-not-there")
    with pytest.raises(BitstreamError, match="pip install"):
        tool_path("yosys")


def test_bitstream(tmp_path: Path) -> None:
    """All the way with the real tools, for an array so small that it takes a minute."""
    report = build_bitstream(SMALL, "ulx3s_85f", tmp_path, time_limit=600)
    assert report.bitstream.stat().st_size > 100_000
    assert report.fmax_mhz > report.clock_mhz
    used = report.resources
    assert 1000 < used["LUT"].used < 8000
    assert used["LUT"].available == 83640
    assert used["block RAM"].used >= 2
    assert used["multiplier"].used >= 1
    assert build_bitstream(SMALL, "ulx3s_85f", tmp_path).reused
