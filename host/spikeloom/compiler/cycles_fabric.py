"""The fabric's part of the cycle model: routers as registers with a time at which each takes its next flit."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from ..contract.config import ArrayConfig
from ..contract.fabric import OPPOSITE, Port, neighbour, ports_of
from ..contract.ring import Space
from ..image import Image

Flit = tuple[int, int]
"""Key and index."""
Accepted = Callable[[int], None]
"""Told when a flit that was offered goes on."""
Sink = Callable[[int, Flit, Accepted], None]
"""Takes a flit that is offered from some cycle on."""


@dataclass(eq=False)
class Input:
    """A router's input: a head, and a spare behind it."""

    fabric: Fabric
    outputs: dict[Port, Output]
    routes: list[int]
    number: int
    ready: int = 0
    done: int = -1
    flit: Flit = (0, 0)
    missing: set[Port] = field(default_factory=set)
    spare: tuple[int, Flit] | None = None
    offered: tuple[int, Flit, Accepted] | None = None

    def offer(self, valid: int, flit: Flit, accepted: Accepted) -> None:
        self.offered = valid, flit, accepted
        self._accept()

    def _accept(self) -> None:
        if self.offered is None or self.spare is not None:
            return
        valid, flit, accepted = self.offered
        self.offered = None
        at = max(valid, self.ready)
        self.fabric.busy_until(at + 2)
        if self._route(flit):
            if self.missing:
                self.spare = at, flit
            else:
                self._head(max(at, self.done) + 1, flit)
        accepted(at)

    def _route(self, flit: Flit) -> set[Port]:
        return {port for port in self.outputs if self.routes[flit[0]] >> port & 1}

    def _head(self, at: int, flit: Flit) -> None:
        self.flit, self.missing, self.ready = flit, self._route(flit), at
        for port in list(self.missing):
            self.outputs[port].ask(self, at)

    def copied(self, port: Port, at: int) -> None:
        """An output takes its copy of the head."""
        self.missing.discard(port)
        if self.missing:
            return
        self.done = at
        if self.spare is not None:
            (came, flit), self.spare = self.spare, None
            self._head(max(came, at) + 1, flit)
            self._accept()


@dataclass(eq=False)
class Output:
    """A router's output: one register, given to the heads in turn."""

    fabric: Fabric
    port: Port
    sink: Sink | None = None
    free: int | None = 0  # from when on the register takes the next flit
    asks: dict[int, tuple[int, Input]] = field(default_factory=dict)
    last: int = -1

    def ask(self, head: Input, at: int) -> None:
        self.asks[head.number] = at, head
        self._schedule()

    def _schedule(self) -> None:
        if self.free is not None and self.asks:
            self.fabric.at(max(self.free, min(at for at, _ in self.asks.values())), self)

    def grant(self, now: int) -> None:
        """Take a copy, if the time has come."""
        if self.free is None or self.free > now:
            return
        present = sorted(number for number, (at, _) in self.asks.items() if at <= now)
        if not present:
            return
        number = next((n for n in present if n > self.last), present[0])
        _, head = self.asks.pop(number)
        self.last, self.free = number, None
        assert self.sink is not None
        flit = head.flit
        head.copied(self.port, now)
        self.sink(now + 1, flit, self._accepted)

    def _accepted(self, at: int) -> None:
        self.free = at
        self.fabric.busy_until(at + 1)
        self._schedule()


class Fabric:
    """All routers; ``cores`` take what comes for each core."""

    def __init__(self, image: Image, cores: list[Sink]):
        config: ArrayConfig = image.config
        self.idle = 0
        self._heap: list[tuple[int, int, Output]] = []
        self._count = 0
        self.inputs: list[dict[Port, Input]] = []
        self.outputs: list[dict[Port, Output]] = []
        for core in range(config.cores):
            ports = ports_of(config, core)
            outputs = {port: Output(self, port) for port in ports}
            routes = image.memories[core, Space.ROUTE][:, 0].tolist()
            self.outputs.append(outputs)
            self.inputs.append({port: Input(self, outputs, routes, n) for n, port in enumerate(ports)})
        for core, outputs in enumerate(self.outputs):
            for port, output in outputs.items():
                if port is Port.CORE:
                    output.sink = cores[core]
                elif port is Port.LINK:
                    output.sink = lambda valid, flit, accepted: accepted(valid)
                else:
                    output.sink = self.inputs[neighbour(config, core, port)][OPPOSITE[port]].offer

    def at(self, time: int, output: Output) -> None:
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, output))

    def busy_until(self, time: int) -> None:
        self.idle = max(self.idle, time)

    def run(self) -> None:
        """Until no flit is under way."""
        while self._heap:
            now, _, output = heapq.heappop(self._heap)
            output.grant(now)

    def turns(self) -> list[int]:
        """Who was served last by each output."""
        return [output.last for outputs in self.outputs for output in outputs.values()]

    def set_turns(self, turns: list[int]) -> None:
        every = [output for outputs in self.outputs for output in outputs.values()]
        for output, last in zip(every, turns, strict=True):
            output.last = last
