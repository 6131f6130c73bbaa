"""Processes that write and read one target at the same time, and what they may do to it."""

import os
import signal
import stat

import pytest

from crashes.scenarios import NEW, OLD, Scenario
from crashes.trials import in_child
from snnbridge import SNNBridgeError, differences, read, write

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
ROUNDS = 25


@pytest.fixture(params=["npz", "hdf5", "safetensors"])
def scenario(request, tmp_path):
    made = Scenario(request.param, tmp_path / "here")
    made.begin()
    return made


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_two_processes_that_write_one_target_leave_one_of_the_two_whole(scenario):
    def write_all(checkpoint):
        for _ in range(ROUNDS):
            write(checkpoint, scenario.path)

    children = [in_child(lambda x=x: write_all(x)) for x in (OLD, NEW)]
    assert [ended(child) for child in children] == [0, 0]
    assert scenario.found() in ("old", "new")
    assert scenario.hidden() == []


def test_a_process_that_reads_beside_a_writer_finds_whole_checkpoints_only(scenario):
    def read_all():
        for _ in range(4 * ROUNDS):
            assert scenario.found() in ("old", "new")

    child = in_child(read_all)
    for i in range(ROUNDS):
        write((OLD, NEW)[i % 2], scenario.path)
    assert ended(child) == 0


def test_what_was_read_keeps_its_bits_when_another_process_replaces_the_file(scenario):
    before = read(scenario.path)
    assert ended(in_child(lambda: write(NEW, scenario.path))) == 0
    assert differences(before, OLD) == []
    assert scenario.found() == "new"


def test_a_target_behind_a_link_is_replaced_and_the_link_stays(scenario, tmp_path):
    link = tmp_path / f"link{scenario.path.suffix}"
    if scenario.format == "npz":
        (tmp_path / "link.json").symlink_to(scenario.path.with_suffix(".json"))
    link.symlink_to(scenario.path)
    write(NEW, link)
    assert link.is_symlink()
    assert scenario.found() == "new"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_and_the_permissions_of_the_old_file_are_kept(scenario):
    files = list(scenario.folder.iterdir())
    for file in files:
        file.chmod(0o640)
        os.chown(file, 12345, 23456)
    write(NEW, scenario.path)
    for file in files:
        status = file.stat()
        assert (status.st_uid, status.st_gid) == (12345, 23456)
        assert stat.S_IMODE(status.st_mode) == 0o640


def test_a_name_that_is_too_long_is_refused_and_nothing_is_left(scenario):
    path = scenario.folder / ("n" * 300 + scenario.path.suffix)
    before = sorted(scenario.folder.iterdir())
    with pytest.raises(SNNBridgeError, match="ame too long"):
        write(NEW, path)
    assert sorted(scenario.folder.iterdir()) == before


def test_a_disk_that_is_really_full_leaves_the_old_checkpoint(scenario):
    resource = pytest.importorskip("resource")

    def write_with_little_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
        with pytest.raises(SNNBridgeError, match="cannot write"):
            write(NEW, scenario.path)

    assert ended(in_child(write_with_little_room)) == 0
    assert scenario.found() == "old"
    assert scenario.hidden() == []
