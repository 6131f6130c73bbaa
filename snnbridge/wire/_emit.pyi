from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

def emit(
    tree: object,
    write: Callable[[bytes | memoryview], object] | None,
    chunk_bytes: int,
    complex_as_scalar: bool,
    helpers: tuple[
        Callable[[object], object],
        Callable[[dict[Any, object]], dict[str, object]],
        Callable[[np.dtype[Any]], tuple[bytes, int, np.dtype[Any], bool]],
        Callable[[NDArray[Any], np.dtype[Any], int], Iterator[memoryview]],
    ],
) -> int: ...
