"""Formats, registers, packets and configurations: one home for every number.

The golden model, the gateware, the compiler and the driver read this package and it imports nothing of theirs.
"""
