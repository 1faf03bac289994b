"""The command line: a file a command; :mod:`.inputs` opens what users name, :mod:`.show` prints."""

from __future__ import annotations

import sys

from ..contract.errors import SpikeloomError
from .app import app
from .show import complain

__all__ = ["main"]


def main() -> None:
    """Run the command line; an error of ours becomes one message and exit status 1, without a traceback."""
    from . import (  # noqa: F401  each adds its command
        bench,
        bench_compile,
        bench_cycles,
        bench_fit,
        bench_pnr,
        bench_predict,
        bench_resources,
        build,
        compile,
        demo,
        experiment,
        fit,
        generate,
        quantise,
        report,
        run,
        verify,
    )

    try:
        app()
    except SpikeloomError as error:
        complain(error)
        sys.exit(1)
