"""What the operator reads when the daemon ends by a fault or by Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pypackager import cli
from pypackager.cli import demo
from pypackager.cli.cause import run_to_end, sole_cause
from pypackager.cli.main import main
from pypackager.model.errors import PackagerError

FAULT = PackagerError("LISTEN_FAILED", "port 80 is taken", fault="operator")
BUG = ValueError("ours")


def test_fault_is_taken_out_of_its_nurseries() -> None:
    assert sole_cause(BaseExceptionGroup("daemon", [BaseExceptionGroup("listeners", [FAULT])]), PackagerError) is FAULT


@pytest.mark.parametrize(
    "group",
    [
        BaseExceptionGroup("a bug", [BUG]),
        BaseExceptionGroup("a fault and a bug", [FAULT, BUG]),
        BaseExceptionGroup("a fault, and a bug deeper", [BaseExceptionGroup("channel", [FAULT, BUG])]),
        BaseExceptionGroup("two faults", [FAULT, PackagerError("DISK_LOW", "full")]),
    ],
    ids=lambda group: group.message,
)
def test_nothing_is_hidden_behind_a_fault(group: BaseExceptionGroup[BaseException]) -> None:
    assert sole_cause(group, PackagerError) is None


def test_a_run_ends_with_its_fault_alone() -> None:
    async def fails() -> None:
        raise BaseExceptionGroup("daemon", [FAULT])

    with pytest.raises(PackagerError) as caught:
        run_to_end(fails)
    assert caught.value is FAULT


class CtrlC:
    """Interrupts the import of a module."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """As `sys.meta_path` demands."""
        if name == demo.__name__:
            raise KeyboardInterrupt


def test_ctrl_c_while_commands_are_loaded_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, demo.__name__)
    monkeypatch.delattr(cli, "demo")
    monkeypatch.setattr(sys, "meta_path", [CtrlC(), *sys.meta_path])
    assert main(["demo"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_plan_is_printed_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "p.toml"
    config.write_text(f'data_dir = "{tmp_path}/data"\n[[channel]]\nname = "news"\n')
    assert main(["serve", "--config", str(config), "--plan"]) == 0
    default = "create  streaming-endpoint default: every daemon has it; it is stopped until it is told to start\n"
    assert capsys.readouterr().out == f"create  channel news: it is new in the file, which says running\n{default}"
    assert not (tmp_path / "data").exists()
    config.write_text(f'data_dir = "{tmp_path}/data"\n')
    assert main(["serve", "--config", str(config), "--plan"]) == 0
    assert capsys.readouterr().out == default


def test_a_daemon_does_not_load_the_other_commands() -> None:
    ask = "import sys; from pypackager.cli.main import main; main(['serve', '--config', '/nowhere']); print(*sys.modules)"
    asked = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(asked.stdout.split())
    assert "pypackager.runtime.daemon" in loaded
    others = {"pypackager.check", "pypackager.cli.push", "pypackager.cli.operate", "pypackager.cli.top", "litestar", "httpx", "lxml"}
    assert not others & loaded


def test_help_and_complaints_know_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code in ((["--help"], 0), (["nothing"], 2), ([], 2)):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == code
        told = capsys.readouterr()
        if arguments:
            assert all(name in told.out + told.err for name in ("serve", "demo", "push", "check", "top", "drain", "channel", "asset"))
