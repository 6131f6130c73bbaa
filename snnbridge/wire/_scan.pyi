from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAX_DEPTH: Final[int]
CHUNKED: Final[str]

def scan(
    base: NDArray[np.uint8],
    budget: int,
    dtype_of: Callable[[str], np.dtype[Any]],
    scalar_of: Callable[[np.dtype[Any], NDArray[np.uint8]], np.generic],
    check: Callable[[NDArray[Any]], None],
    join: Callable[[dict[str, Any]], NDArray[Any]],
) -> Any: ...
