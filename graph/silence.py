"""Which inputs have fallen silent: pure, the time is handed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graph.inbox import Quiet
from graph.plan import Edge


class Silence:
    """Watches the edges that have an `input_timeout`."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self._edges = {e.id: e for e in edges if e.input_timeout_s is not None}
        self._heard_ns: dict[str, int] = {}  # by edge, from the start on
        self._silent: set[str] = set()
        self._begun = False

    @property
    def watches(self) -> bool:
        """True where there is anything to watch."""
        return bool(self._edges)

    def begin(self, now_ns: int) -> None:
        """The graph runs: silence counts from now."""
        self._begun = True
        self._heard_ns = dict.fromkeys(self._edges, now_ns)

    def watch(self, edges: Iterable[Edge], now_ns: int) -> None:
        """The links of the node are others now, or have another timeout; silence on new ones counts from now."""
        former, self._edges = self._edges, {e.id: e for e in edges if e.input_timeout_s is not None}
        self._silent &= self._edges.keys()
        self._heard_ns = {e: ns for e, ns in self._heard_ns.items() if e in self._edges}
        if self._begun:
            self._heard_ns |= dict.fromkeys(self._edges.keys() - former.keys(), now_ns)

    def heard(self, edge: str, now_ns: int) -> Quiet | None:
        """Something came on an edge; tells when that ends a silence."""
        if edge not in self._heard_ns:
            return None
        self._heard_ns[edge] = now_ns
        if edge not in self._silent:
            return None
        self._silent.discard(edge)
        return Quiet(self._edges[edge].input, silent=False)

    def ended(self, edge: str) -> None:
        """Nothing more is expected of an edge."""
        self._heard_ns.pop(edge, None)

    def fallen(self, now_ns: int) -> Iterator[tuple[Edge, Quiet]]:
        """The edges that have been silent for too long since the last call."""
        for edge, heard_ns in self._heard_ns.items():
            timeout_s = self._edges[edge].input_timeout_s
            if edge not in self._silent and timeout_s is not None and now_ns - heard_ns >= timeout_s * 1e9:
                self._silent.add(edge)
                yield self._edges[edge], Quiet(self._edges[edge].input, silent=True)
