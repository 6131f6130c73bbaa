"""Learning rates by layer, in the forms that optimizers take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from snnbridge.errors import CheckpointError
from snnbridge.model import SNNCheckpoint, is_weighted
from snnbridge.transfer.freezing import TransferConfig, frozen_by, rates_of

_Key = tuple[str, ...]


def learning_rates(checkpoint: SNNCheckpoint, config: TransferConfig) -> dict[str, float]:
    """Return the learning rate of each layer, by name, and that of new parameters.

    A layer without weights (neurons, synapses) has the rate of the layer with weights before it,
    unless it is frozen itself.

    Parameters
    ----------
    checkpoint : SNNCheckpoint
        Is not changed.
    config : TransferConfig

    Returns
    -------
    dict of str to float
        The last key is the label of parameters that belong to no layer of the checkpoint, such
        as a new head: ``"new"``, or ``"new.2"`` and so on where a layer bears that name.

    Raises
    ------
    CheckpointError
        For a layer that is not there, or a rate that is negative or not finite.

    Examples
    --------
    >>> from snnbridge.transfer import TransferConfig, load_checkpoint
    >>> model = load_checkpoint("fixtures/sc-neurocore-3.16.0/mlp2")
    >>> learning_rates(model, TransferConfig("hidden", 0.0, 0.01))
    {'hidden': 0.0, 'out': 0.01, 'new': 0.01}
    """
    backbone, head = rates_of(config)
    frozen = frozen_by(checkpoint, config)
    rates, last = {}, head
    for name, layer in checkpoint.layers.items():
        own = backbone if name in frozen else head
        if is_weighted(layer):
            last = own
        rates[name] = backbone if name in frozen else last
    return {**rates, _new_label(checkpoint): head}


def _new_label(checkpoint: SNNCheckpoint) -> str:
    candidates = (f"new.{i}" if i > 1 else "new" for i in count(1))
    return next(label for label in candidates if label not in checkpoint.layers)


def parameter_groups(
    model: Any, checkpoint: SNNCheckpoint, config: TransferConfig
) -> list[dict[str, Any]]:
    """Return a torch module's parameters in groups by layer, each with its learning rate.

    A parameter belongs to the layer whose name its own name starts with: ``fc1.weight`` to
    ``fc1``, ``encoder.0.bias`` to ``encoder.0``. What all names start with (``module.``) may
    stand before that. A parameter of no layer is new, and has the rate of the head.

    Parameters
    ----------
    model : torch.nn.Module, mapping, or iterable of pairs
        Anything with ``named_parameters()``; or names and parameters.
    checkpoint : SNNCheckpoint
        Is not changed.
    config : TransferConfig

    Returns
    -------
    list of dict
        ``{"params": [...], "lr": float, "name": str}``, in the order of the model: what
        optimizers of ``torch.optim`` take in place of the parameters.

    Raises
    ------
    CheckpointError
        If a frozen layer has no parameter in the model: it would be trained unnoticed.

    Examples
    --------
    >>> import torch  # doctest: +SKIP
    >>> groups = parameter_groups(net, checkpoint, TransferConfig("conv2"))  # doctest: +SKIP
    >>> optimizer = torch.optim.Adam(groups)  # doctest: +SKIP
    """
    named = model.named_parameters() if hasattr(model, "named_parameters") else model
    pairs = list(named.items() if isinstance(named, Mapping) else named)
    rates = learning_rates(checkpoint, config)
    owners = _owners([tuple(name.split(".")) for name, _ in pairs], checkpoint, config)
    groups: dict[str, dict[str, Any]] = {}
    for (_, value), owner in zip(pairs, owners, strict=True):
        group = groups.setdefault(owner, {"params": [], "lr": rates[owner], "name": owner})
        group["params"].append(value)
    return list(groups.values())


def label_tree(params: Any, checkpoint: SNNCheckpoint, config: TransferConfig) -> Any:
    """Return a tree like `params` whose leaves are the names of the layers they belong to.

    A leaf belongs to the layer whose name its path starts with, as in :func:`parameter_groups`;
    what all paths start with (``params`` in flax) may stand before that.

    Parameters
    ----------
    params : tree
        Mappings, lists and tuples; anything else is a leaf.
    checkpoint : SNNCheckpoint
        Is not changed.
    config : TransferConfig

    Returns
    -------
    tree
        Of the same structure; its labels are keys of :func:`learning_rates`.

    Raises
    ------
    CheckpointError
        If a frozen layer has no leaf in the tree: it would be trained unnoticed.

    Examples
    --------
    >>> import optax  # doctest: +SKIP
    >>> optimizer = optax.multi_transform(  # doctest: +SKIP
    ...     {label: optax.adam(rate) for label, rate in learning_rates(checkpoint, config).items()},
    ...     label_tree(params, checkpoint, config),
    ... )
    """
    leaves = list(_leaves(params, ()))
    labels = iter(_owners(leaves, checkpoint, config))
    return _rebuilt(params, labels)


def _leaves(node: Any, path: _Key) -> Iterator[_Key]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, (*path, *str(key).split(".")))
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _leaves(value, (*path, str(i)))
    elif node is not None:  # an empty node in jax
        yield path


def _rebuilt(node: Any, labels: Iterator[str]) -> Any:
    if isinstance(node, Mapping):
        tree = {key: _rebuilt(value, labels) for key, value in node.items()}
        return tree if type(node) is dict else type(node)(tree)  # type: ignore[call-arg]
    if isinstance(node, list | tuple):
        items = [_rebuilt(value, labels) for value in node]
        return type(node)(*items) if hasattr(node, "_fields") else type(node)(items)
    return None if node is None else next(labels)


def _owners(keys: list[_Key], checkpoint: SNNCheckpoint, config: TransferConfig) -> list[str]:
    """Return the layer of each parameter; the label of new ones where it has none."""
    new = _new_label(checkpoint)
    demanded = frozen_by(checkpoint, config) & set(checkpoint.layer_names)
    first = None
    for skipped in range(_shared(keys) + 1):
        owners = [_owner(key[skipped:], checkpoint) or new for key in keys]
        missing = demanded.difference(owners)
        first = first or missing
        if not missing and (demanded or set(owners) != {new}):
            return owners
    if first:
        raise CheckpointError(
            f"no parameter belongs to the frozen layer {min(first)!r}, so it would be trained "
            f"unnoticed; found {_listed(keys)}"
        )
    return [new] * len(keys)


def _owner(key: _Key, checkpoint: SNNCheckpoint) -> str | None:
    names = (".".join(key[:n]) for n in range(len(key), 0, -1))
    return next((name for name in names if name in checkpoint.layers), None)


def _shared(keys: list[_Key]) -> int:
    """Count the components that all keys start with, the last one of a key left out."""
    if not keys:
        return 0
    length = min(map(len, keys)) - 1
    return next((n for n in range(length) if len({key[n] for key in keys}) > 1), max(length, 0))


def _listed(keys: Iterable[_Key], most: int = 6) -> str:
    names = [repr(".".join(key)) for key in keys]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "") or "none at all"
