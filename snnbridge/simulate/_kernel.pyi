from typing import Any

def instruction_sets() -> tuple[str, ...]: ...

class Program:
    def __init__(self, double_precision: bool, room: int, lanes: int = -1) -> None: ...
    def declare(self, node: int, n: int, history: int, events: bool, numbers: bool) -> None: ...
    def add_input(self, n: int) -> None: ...
    def add_sum(self, n: int, count: int, sources: Any, delays: Any) -> None: ...
    def add_linear(
        self, n: int, source: int, delay: int, weight: Any, wide: bool, bias: Any
    ) -> None: ...
    def add_conv(
        self,
        n: int,
        source: int,
        delay: int,
        window: Any,
        channels: int,
        outputs: int,
        groups: int,
        weight: Any,
        wide: bool,
        bias: Any,
    ) -> None: ...
    def add_pool(
        self,
        n: int,
        source: int,
        delay: int,
        window: Any,
        channels: int,
        counts: Any,
        largest: bool,
    ) -> None: ...
    def add_permute(self, n: int, source: int, delay: int, table: Any) -> None: ...
    def add_delays(self, n: int, source: int, delay: int, table: Any) -> None: ...
    def add_scale(self, n: int, source: int, delay: int, factor: Any) -> None: ...
    def add_norm(
        self, n: int, source: int, delay: int, mean: Any, deviation: Any, weight: Any, bias: Any
    ) -> None: ...
    def add_neuron(
        self,
        n: int,
        source: int,
        delay: int,
        switches: tuple[int, ...],
        max_spikes: float,
        arrays: dict[str, Any],
        clock_step: float,
    ) -> None: ...
    def add_synapse(
        self, n: int, source: int, delay: int, switches: tuple[int, ...], arrays: dict[str, Any]
    ) -> None: ...
    def parts_are(self, parts: list[tuple[int, int, bool]]) -> None: ...
    def bind(self, op: int, state: Any, second: Any) -> None: ...
    def bind_past(self, node: int, past: Any) -> None: ...
    def batch_is(self, batch: int) -> None: ...
    def show(self, op: int, shown: Any, keep: list[Any]) -> None: ...

class Worker:
    def __init__(self, program: Program, group: int, steps: int) -> None: ...
    def run(
        self,
        stimuli: list[tuple[Any, ...]],
        taps: list[tuple[Any, ...]],
        first_sample: int,
        samples: int,
        steps: int,
        first_step: int,
        first_row: int,
    ) -> int: ...
