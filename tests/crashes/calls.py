"""A layer under the writer: every call that changes something on the disk passes through it."""

import contextlib
import errno
import os
from unittest import mock

from snnbridge.storage.readback import ReadBack

NAMES = ("open", "write", "fsync", "replace", "unlink", "fchmod", "truncate", "ftruncate", "rmdir")
ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EINTR")}


@contextlib.contextmanager
def watched(before=lambda name, args: None, after=lambda name, args, result: None):
    """Call functions before and after each call; what `before` raises is what the call raises."""

    def wrap(name, original):
        def call(*args, **options):
            before(name, args)
            result = original(*args, **options)
            after(name, args, result)
            return result

        return call

    with contextlib.ExitStack() as stack:
        for name in NAMES:
            original = wrap(name, getattr(os, name))
            stack.enter_context(mock.patch.object(os, name, original))
        patch = wrap("write", ReadBack.patch)  # sums that are put in behind the writer
        stack.enter_context(mock.patch.object(ReadBack, "patch", patch))
        yield


@contextlib.contextmanager
def stopped(number, stop):
    """Do something before one call in turn; yield the names of the calls that were made."""
    made = []

    def before(name, args):
        made.append(name)
        if len(made) == number + 1:
            stop()

    with watched(before):
        yield made


def failing(number, error):
    """Let one call in turn fail with an error of the system."""

    def stop():
        raise OSError(ERRORS[error], os.strerror(ERRORS[error]))

    return stopped(number, stop)


def killed(number):
    """End the process before one call in turn, as SIGKILL would."""
    return stopped(number, lambda: os._exit(9))


@contextlib.contextmanager
def short_writes():
    """Let the system take only a part of what it is given, at every call."""
    original = os.write
    with mock.patch.object(os, "write", lambda fd, data: original(fd, data[: len(data) // 2 + 1])):
        yield
