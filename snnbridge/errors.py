"""Every error that snnbridge raises on purpose.

A caller who wants to catch anything that snnbridge says about a file, a format or a model
catches :class:`SNNBridgeError`. The second base of most classes is the builtin exception that
a caller would expect there::

    SNNBridgeError
    ├── CheckpointError(ValueError)       a model that breaks its own rules
    ├── FormatError                       which format is it, and is it there?
    │   ├── UnknownFormat(LookupError)        no format of that name, or none claims the file
    │   ├── AmbiguousFormat(LookupError)      several formats claim the file
    │   └── FormatUnavailable(ImportError)    the format needs a package that is not installed
    ├── ReadError(ValueError)             a file that cannot be read as its format
    │   └── IntegrityError                    its bytes are not those that were written
    ├── WriteError                        a checkpoint that could not be written
    │   ├── LossyWrite(ValueError)            the target would lose something
    │   └── NotDurable(OSError)               in place, but not yet safe from a power cut
    ├── SpecError(ValueError)             a side file that does not fit the checkpoint
    ├── OptionError(TypeError)            an option that the format does not know
    ├── UnknownValue(ValueError)          a value is needed that the source does not state
    └── PluginError                       a plugin that cannot be used

A missing file stays :class:`FileNotFoundError`, a forbidden one :class:`PermissionError`.
Messages are one sentence or two: what, where, what was expected, what was found, what to do.
"""

from __future__ import annotations

import typing

__all__ = [
    "AmbiguousFormat",
    "CheckpointError",
    "FormatError",
    "FormatUnavailable",
    "IntegrityError",
    "LossyWrite",
    "NotDurable",
    "OptionError",
    "PluginError",
    "ReadError",
    "SNNBridgeError",
    "SpecError",
    "UnknownFormat",
    "UnknownValue",
    "WriteError",
]


class SNNBridgeError(Exception):
    """Base class of all errors of this package."""


class CheckpointError(SNNBridgeError, ValueError):
    """A checkpoint, layer or value that breaks the rules of the model."""


class FormatError(SNNBridgeError):
    """Base class of the errors about finding a format."""


class UnknownFormat(FormatError, LookupError):
    """No format has that name, or no format recognises the file."""


class AmbiguousFormat(FormatError, LookupError):
    """More than one format recognises the file; name one."""


class FormatUnavailable(FormatError, ImportError):
    """The format needs a package that is not installed."""


class ReadError(SNNBridgeError, ValueError):
    """A file is damaged, hostile, or not what its format says."""


class IntegrityError(ReadError):
    """A file's bytes differ from those that its digest was made of."""


class WriteError(SNNBridgeError):
    """A checkpoint could not be written; the old file is still there."""


class LossyWrite(WriteError, ValueError):
    """The target has no place for something that the checkpoint holds.

    Parameters
    ----------
    message : str
    ledger : Ledger, optional
        What would be kept and what lost.
    """

    def __init__(self, message: str, ledger: typing.Any = None) -> None:
        super().__init__(message)
        self.ledger = ledger


class NotDurable(WriteError, OSError):
    """The new file is in place, but the disk has not confirmed it; a power cut may undo it."""


class SpecError(SNNBridgeError, ValueError):
    """A side file (``--spec``) that does not fit the checkpoint."""


class OptionError(SNNBridgeError, TypeError):
    """An option that the format does not know, or a value that it does not take."""


class UnknownValue(SNNBridgeError, ValueError):
    """The work needs values that the source does not state.

    Parameters
    ----------
    message : str
    missing : tuple of (layer, name)
        All of them; the layer is empty where the value belongs to the network.
    """

    def __init__(self, message: str, missing: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.missing = missing


class PluginError(SNNBridgeError):
    """A plugin that breaks the contract of its hook."""
