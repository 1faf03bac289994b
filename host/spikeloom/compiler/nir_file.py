"""Reading a NIR file: whatever is wrong with it becomes one error that names the path."""

from __future__ import annotations

from pathlib import Path

import nir

from spikeloom.contract.errors import NetworkError

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read(path: str | Path) -> nir.NIRGraph:
    """The graph of a ``.nir`` file, unchecked: shapes are ours to check, so that files of older versions open."""
    path = Path(path)
    if not path.is_file():
        raise NetworkError(f"{path}: there is no such file")
    with path.open("rb") as file:
        head = file.read(len(HDF5_SIGNATURE))
    if head != HDF5_SIGNATURE:
        raise NetworkError(f"{path}: not a NIR file: {_looks_like(head)}; export the network with nir.write")
    try:
        graph = nir.read(path, type_check=False)
    except OSError as error:
        raise NetworkError(f"{path}: damaged or truncated HDF5 file: {error}") from error
    except KeyError as error:
        raise NetworkError(f"{path}: an HDF5 file, but no NIR graph in it: {error}") from error
    except Exception as error:  # nir raises whatever its constructors meet: assertions, types, attributes
        raise NetworkError(f"{path}: nir {nir.version} cannot build the graph: {error}") from error
    return graph


def _looks_like(head: bytes) -> str:
    if not head:
        return "the file is empty"
    if head[:2] == b"PK" or head[:1] == b"\x80":
        return "it looks like a pickled torch or Python archive, which is never opened here"
    return "it is no HDF5 file"
