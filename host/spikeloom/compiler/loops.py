"""Which projections close a loop: those get a delay of one tick."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence


def closing_edges(
    starts: Sequence[str], ends: Iterable[str], names: Sequence[str], edges: Iterable[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Edges that, walking depth first from the inputs, lead back to a population of the current path.

    Without them the graph has no cycle. Of several ways the one farthest from an output is walked first, so that
    ``a -> b -> c -> a`` with a shortcut into ``c`` closes at ``c -> a``.

    Args:
        starts: the inputs.
        ends: the populations that outputs show.
        names: all populations.
        edges: ``(source, target)``.
    """
    following: dict[str, list[str]] = {}
    preceding: dict[str, list[str]] = {}
    for source, target in sorted(set(edges)):
        following.setdefault(source, []).append(target)
        preceding.setdefault(target, []).append(source)

    distance = dict.fromkeys(ends, 0)
    queue = deque(distance)
    while queue:
        at = queue.popleft()
        for source in preceding.get(at, ()):
            if source not in distance:
                distance[source] = distance[at] + 1
                queue.append(source)

    def farthest_first(nodes: Iterable[str]) -> list[str]:
        return sorted(nodes, key=lambda name: (-distance.get(name, 0), name))

    closing: set[tuple[str, str]] = set()
    path: set[str] = set()
    done: set[str] = set()
    for root in (*starts, *farthest_first(names)):
        if root in done:
            continue
        stack = [(root, iter(farthest_first(following.get(root, ()))))]
        path.add(root)
        while stack:
            node, rest = stack[-1]
            onward = next(rest, None)
            if onward is None:
                stack.pop()
                path.remove(node)
                done.add(node)
            elif onward in path:
                closing.add((node, onward))
            elif onward not in done:
                path.add(onward)
                stack.append((onward, iter(farthest_first(following.get(onward, ())))))
    return closing
