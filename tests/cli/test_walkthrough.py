"""The commands of docs/walkthrough.md run as written, and their answers are those of the page."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.proof.processes import free_port

PAGE = ROOT / "docs" / "walkthrough.md"
BLOCK = re.compile(r"^```(sh server|sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- end of block"
STARTS_WITHIN_S = 60
RUNS_WITHIN_S = 100

pytestmark = [pytest.mark.xdist_group("serving"), pytest.mark.timeout(180)]


@dataclass
class Step:
    """A block of shell commands, and what the page says that they print."""

    commands: str
    output: str
    is_server: bool = False


def read_steps(page: str) -> list[Step]:
    """The shell blocks of a page, each followed by its output."""
    blocks = BLOCK.findall(page)
    kinds = [kind for kind, _ in blocks]
    assert kinds == ["sh server", "text"] + ["sh", "text"] * (len(kinds) // 2 - 1)
    return [
        Step(commands, output, is_server=kind == "sh server")
        for (kind, commands), (_, output) in zip(blocks[::2], blocks[1::2], strict=True)
    ]


def matches(output: str, expected: str) -> bool:
    """Whether an output is what the page says; `…` stands for anything."""
    parts = [re.escape(part.strip("\n")) for part in expected.strip().split("…")]
    return re.fullmatch(".*?".join(parts), output.strip(), re.DOTALL) is not None


@contextmanager
def run_server(step: Step, folder: Path, env: dict[str, str]) -> Iterator[None]:
    """The server of the page, ready; stopped afterwards."""
    log = folder / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["bash", "-c", step.commands],
            cwd=folder, env=env, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        until = time.monotonic() + STARTS_WITHIN_S
        while not matches(log.read_text("utf-8"), step.output):
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < until, log.read_text("utf-8")
            time.sleep(0.05)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def run_steps(steps: list[Step], folder: Path, env: dict[str, str]) -> list[str]:
    """The outputs of all blocks, run in one shell that ends at the first failure."""
    script = "set -eu -o pipefail\n" + "".join(
        f"{s.commands}\necho; echo '{MARK}'\n" for s in steps
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder, env=env, timeout=RUNS_WITHIN_S, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    outputs = done.stdout.split(f"\n{MARK}\n")
    assert done.returncode == 0, outputs[-1]
    return outputs[:-1]


def test_every_command_of_the_page_works_and_prints_what_the_page_says(tmp_path):
    server, *steps = read_steps(PAGE.read_text("utf-8"))
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    env = {name: value for name, value in os.environ.items() if not name.startswith("TEKKIE_")}
    env["TEKKIE_PORT"] = str(free_port())
    with run_server(server, tmp_path, env):
        outputs = run_steps(steps, tmp_path, env)
    assert len(outputs) == len(steps)
    for step, output in zip(steps, outputs, strict=True):
        assert matches(output, step.output), f"{step.commands}\nprinted:\n{output}"


@pytest.mark.parametrize(
    ("output", "expected", "is_equal"),
    [
        ("6 created", "6 created", True),
        ("7 created", "6 created", False),
        ('{"id":"1","live":4}', '{"id":"…","live":4}', True),
        ('{"id":"1","live":3}', '{"id":"…","live":4}', False),
        ("a\nb\nc", "a…c", True),
        ("a\nb", "a", False),
    ],
)
def test_an_output_that_differs_from_the_page_is_found(output, expected, is_equal):
    assert matches(output, expected) is is_equal


def test_a_command_that_fails_is_found(tmp_path):
    steps = [Step("echo fine", "fine"), Step("no-such-command", ""), Step("echo never", "never")]
    with pytest.raises(AssertionError, match="no-such-command"):
        run_steps(steps, tmp_path, dict(os.environ))
