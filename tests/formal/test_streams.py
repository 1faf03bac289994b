"""Every stream that leaves a unit keeps the contract of :mod:`streams`, whatever comes in."""

from pathlib import Path

import prover
import pytest
import small
import streams

from spikeloom_hdl import emitter, loops, replies, router, sequencer, walker

MESH = small.array(width=2, height=1)
CENTRE = small.array(width=3, height=3)
DENSE, TABLES = small.array(), small.array(core={"entries": 2, "sparse": True})
GRADED = small.array(payload_bits=1)

UNITS = {
    "router": (router, lambda hdl: hdl.Router(MESH, 0)),
    "router, 5 ports": (router, lambda hdl: hdl.Router(CENTRE, 4)),
    "emitter": (emitter, lambda hdl: hdl.Emitter(DENSE)),
    "walker": (walker, lambda hdl: hdl.Walker(DENSE)),
    "walker, tables": (walker, lambda hdl: hdl.Walker(TABLES)),
    "walker, payloads": (walker, lambda hdl: hdl.Walker(GRADED)),
    "loops": (loops, lambda hdl: hdl.Loops(DENSE)),
    "replies": (replies, lambda hdl: hdl.Replies(DENSE)),
    "sequencer": (sequencer, lambda hdl: hdl.Sequencer(DENSE, settle=2)),
}
"""A module of the gateware, and how to build the unit from it."""
FULL = pytest.mark.full
DEPTH = 4  # registers right behind the ports decide, so a short window is enough for induction
COVER_DEPTH = 24  # tables begin empty: the trace first writes them
BUGS = {
    "replies": ("replies.py", "with m.If(~o.valid | o.ready):", "with m.If(1):"),
    "router": ("router.py", "free.eq(~o.valid | o.ready)", "free.eq(1)"),
    "emitter": ("emitter.py", "free.eq(~self.flits.valid | self.flits.ready)", "free.eq(1)"),
    "sequencer": ("sequencer.py", "may_inject.eq((~inject.valid | inject.ready) &", "may_inject.eq("),
    "loops": ("loops.py", "visited.eq(self.visits.valid & self.visits.ready)", "visited.eq(self.visits.valid)"),
}
"""An offer that is taken back or changed before it is accepted."""


@pytest.mark.parametrize("name", ["replies", *(pytest.param(name, marks=FULL) for name in UNITS if name != "replies")])
def test_stream(tmp_path: Path, name: str) -> None:
    module, build = UNITS[name]
    assert prover.prove(streams.StreamProof(build(module)), tmp_path, engine=prover.BOOLECTOR, depth=DEPTH).passed
    assert prover.cover(streams.StreamProof(build(module)), tmp_path, depth=COVER_DEPTH).passed


@pytest.mark.parametrize("name", ["replies", *(pytest.param(name, marks=FULL) for name in BUGS if name != "replies")])
def test_stream_catches(tmp_path: Path, name: str) -> None:
    top = streams.StreamProof(UNITS[name][1](prover.mutated(*BUGS[name])))
    assert not prover.prove(top, tmp_path, engine=prover.BOOLECTOR, depth=COVER_DEPTH, bounded=True).passed


def test_stream_catches_a_producer_that_waits_for_ready(tmp_path: Path) -> None:
    module = prover.mutated("replies.py", "with m.If(~o.valid | o.ready):", "with m.If(o.ready):")
    assert prover.prove(
        streams.StreamProof(module.Replies(DENSE)), tmp_path, engine=prover.BOOLECTOR, depth=DEPTH
    ).passed
    assert not prover.cover(streams.StreamProof(module.Replies(DENSE)), tmp_path, depth=COVER_DEPTH).passed
