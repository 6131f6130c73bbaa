"""The verbs for authors of plugins: check, and new-plugin."""

import json

import pytest
from click.testing import CliRunner

import toy
from broken_formats import BROKEN
from snnbridge import Registry, registry
from snnbridge.cli import cli
from snnbridge.testing import contract, file_checks, model_checks
from snnbridge.testing.contract import Check
from snnbridge.testing.samples import samples


@pytest.fixture
def few(monkeypatch):
    """Two checks and three samples: all of them take long."""
    monkeypatch.setattr(contract, "_CHECKS", (
        Check("a_sample", model_checks.a_sample_comes_back_or_is_refused,
              lambda: dict(list(samples().items())[:3])),
        Check("a_missing_file", file_checks.a_missing_file_is_file_not_found),
    ))  # fmt: skip


def run(monkeypatch, plugin, *arguments):
    monkeypatch.setattr(registry, "default", lambda: Registry([plugin]))
    return CliRunner().invoke(cli, ["check-format", "toy", *arguments], standalone_mode=False)


def test_a_format_that_keeps_the_contract_leaves_with_0(monkeypatch, few):
    done = run(monkeypatch, toy)
    assert done.return_value == 0
    assert "toy keeps the contract, version" in done.output
    assert max(map(len, done.output.splitlines())) <= 80


def test_a_format_that_breaks_it_leaves_with_1_and_says_how(monkeypatch, few):
    make, _ = BROKEN["loses_the_order_of_layers"]
    monkeypatch.setattr(toy, "FORMAT", make())
    monkeypatch.setattr(contract, "_CHECKS", (
        Check("a_sample", model_checks.a_sample_comes_back_or_is_refused,
              lambda: {"ordered": samples()["layers in an order that no alphabet has"]}),
    ))  # fmt: skip
    done = run(monkeypatch, toy)
    assert done.return_value == 1
    assert "ordered: " in done.output
    assert "toy breaks the contract" in done.output
    found = json.loads(run(monkeypatch, toy, "--json").output)
    assert found["passed"] is False
    assert found["checks"][0]["failed"] == 1


def test_a_new_plugin_is_written_with_the_next_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["new-plugin", "mine"], standalone_mode=False)
    assert done.exception is None
    assert "snnbridge check-format mine" in done.output
    assert (tmp_path / "snnbridge-mine/snnbridge_mine.py").exists()
