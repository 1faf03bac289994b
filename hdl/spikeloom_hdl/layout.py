"""Amaranth's view of the layouts in :mod:`spikeloom.contract`."""

from amaranth import *
from amaranth.lib import data

from spikeloom.contract.layout import Layout


def struct(layout: Layout) -> data.Layout:
    """The same record as an Amaranth layout: a struct, or an array of structs where the layout repeats."""
    record = data.StructLayout({f.name: signed(f.bits) if f.signed else unsigned(f.bits) for f in layout.fields})
    return record if layout.repeat is None else data.ArrayLayout(record, layout.repeat)
