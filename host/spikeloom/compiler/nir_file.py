"""Reading a NIR file: whatever is wrong with it becomes one error that names the path, and the node where it is one.

The nodes are nir's own, built one by one: so an error names its node, fields that older versions lack get the meaning
that they had, and shapes are left to us: nir infers some of them wrongly and then refuses the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import nir
from nir.serialization import hdf2dict

from spikeloom.contract.errors import NetworkError

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
LATER_FIELDS = {"Conv1d": ("input_shape",), "Conv2d": ("input_shape",)}
"""Fields that files of older versions lack and nir's constructors demand; None: what arrives tells."""


def read(path: str | Path) -> nir.NIRGraph:
    """The graph of a ``.nir`` file of any version of the format, its shapes unchecked."""
    path = Path(path)
    if not path.is_file():
        raise NetworkError(f"{path}: there is no such file")
    with path.open("rb") as file:
        head = file.read(len(HDF5_SIGNATURE))
    if head != HDF5_SIGNATURE:
        raise NetworkError(f"{path}: not a NIR file: {_looks_like(head)}; export the network with nir.write")
    try:
        with h5py.File(path, "r") as file:
            if "node" not in file:
                raise NetworkError(f"{path}: an HDF5 file, but no NIR graph in it: it has no group 'node'")
            fields = hdf2dict(file["node"])
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise NetworkError(f"{path}: damaged or truncated HDF5 file: {error}") from error
    try:
        return _build("", fields)
    except NetworkError as error:
        raise NetworkError(f"{path}: {error}") from error


def _build(name: str, fields: Mapping[str, Any]) -> nir.NIRNode:
    kind = str(fields.get("type"))
    where = f"node {name} ({kind})" if name else f"the graph ({kind})"
    if kind == "NIRGraph":
        return _graph(name, where, fields)
    if kind not in nir.ir.__all__ or not isinstance(getattr(nir, kind, None), type):
        raise NetworkError(f"{where}: nir {nir.version} knows no such type")
    missing = {field: None for field in LATER_FIELDS.get(kind, ()) if field not in fields}
    try:
        return getattr(nir, kind).from_dict({**fields, **missing})
    except Exception as error:  # nir raises whatever its constructors meet: assertions, types, attributes
        raise NetworkError(f"{where}: nir {nir.version} cannot build it: {_said(error)}") from error


def _graph(name: str, where: str, fields: Mapping[str, Any]) -> nir.NIRGraph:
    nodes = fields.get("nodes", {})
    if not isinstance(nodes, Mapping) or "edges" not in fields:
        raise NetworkError(f"{where}: it has no nodes or no edges")
    prefix = f"{name}." if name else ""
    return nir.NIRGraph(
        nodes={inner: _build(prefix + inner, node) for inner, node in nodes.items()},
        edges=[(_text(source), _text(target)) for source, target in fields["edges"]],
        metadata=dict(fields.get("metadata", {})),
        type_check=False,
    )


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the field {error} is missing"
    return f"{error}" or type(error).__name__


def _looks_like(head: bytes) -> str:
    if not head:
        return "the file is empty"
    if head[:2] == b"PK" or head[:1] == b"\x80":
        return "it looks like a pickled torch or Python archive, which is never opened here"
    return "it is no HDF5 file"
