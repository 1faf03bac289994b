"""The gateware compiled to native code and driven in batches."""

from .board import NativeBoard
from .build import Engine, build

__all__ = ["Engine", "NativeBoard", "build"]
