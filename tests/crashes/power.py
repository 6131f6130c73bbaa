"""The states that a power cut may leave.

What is sure to be there is what was synced: the bytes that a file had, the names that a folder
had. Names that were changed since may be there up to any point; bytes that were written since may
be there or not.
"""

import os
import stat
from dataclasses import dataclass, field

from crashes.calls import watched


@dataclass
class Disk:
    """A folder, as it is and as it was synced."""

    folder: object
    names: list = field(default_factory=list)
    sure: int = 0
    synced: dict = field(default_factory=dict)
    ever: dict = field(default_factory=dict)
    states: set = field(default_factory=set)

    def look(self):
        """Return the names with their files' numbers, and the files' bytes."""
        names, held = {}, {}
        for path in self.folder.iterdir():
            names[path.name] = number = path.stat().st_ino
            held[number] = path.read_bytes()
        return names, held

    def begin(self):
        names, held = self.look()
        self.names, self.synced, self.ever = [names], dict(held), dict(held)

    def after(self, name, args, result):
        names, held = self.look()
        if names != self.names[-1]:
            self.names.append(names)
        if name == "fsync":
            status = os.fstat(args[0])
            if stat.S_ISDIR(status.st_mode):
                self.sure = len(self.names) - 1
            elif status.st_ino in held:
                self.synced[status.st_ino] = held[status.st_ino]
        self.ever |= held
        self.keep()

    def keep(self):
        """Note what a cut may leave now, each state once."""
        for names in self.names[self.sure :]:
            for bytes_of in (self.synced, self.ever):
                content = {n: bytes_of.get(inode, b"") for n, inode in names.items()}
                self.states.add(frozenset(content.items()))


def states_of(scenario):
    """Replace a checkpoint, and return every state that a cut may leave, and the last ones."""
    scenario.begin()
    disk = Disk(scenario.folder)
    disk.begin()
    with watched(after=disk.after):
        scenario.act()
    last = Disk(scenario.folder, disk.names, disk.sure, disk.synced, disk.ever)
    last.keep()
    return [dict(state) for state in disk.states], [dict(state) for state in last.states]


def restore(state, folder):
    """Put the files of a state into an empty folder."""
    folder.mkdir()
    for name, data in state.items():
        (folder / name).write_bytes(data)
    return folder
