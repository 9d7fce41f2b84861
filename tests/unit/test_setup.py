"""The set-up: locks, environment, image and what may stand in a tracked file."""

from __future__ import annotations

import importlib.metadata
import os
import re
import socket
import subprocess
import sys
import venv
import zipfile
from hashlib import sha256
from pathlib import Path

import pip
import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("base", "dev", "fast", "postgres")


def _requirements(lock: str) -> list[str]:
    """The logical lines of a lock, continuation lines joined."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(lock: str) -> set[tuple[str, str, str]]:
    """Name, version and marker of every requirement."""
    pattern = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^\s;]+)\s*(?:;\s*(.*?))?\s*--hash")
    found = [pattern.match(line) for line in _requirements(lock)]
    return {(_normal(match[1]), match[2], match[3] or "") for match in found if match}


def _asked(lock: str) -> list[str]:
    lines = (ROOT / "requirements" / f"{lock}.in").read_text(encoding="utf-8").splitlines()
    return [_normal(match[0]) for line in lines if (match := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line))]


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("lock", LOCKS)
def test_k5_lock_when_read_then_every_requirement_is_pinned_with_hashes(lock: str) -> None:
    lines = _requirements(lock)

    assert len(lines) >= len(_asked(lock)) > 0
    assert [line for line in lines if not re.search(r"==\S+.*--hash=sha256:[0-9a-f]{64}", line)] == []
    assert len(_pins(lock)) == len(lines)


@pytest.mark.parametrize("name", [f"{lock}.{end}" for lock in LOCKS for end in ("in", "txt")])
def test_k5_lock_when_read_then_names_no_index_or_address(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")

    assert not re.search(r"https?:|://|--(extra-)?index|--find-links|\s@\s", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_k5_lock_when_compared_with_its_input_then_holds_everything_asked_for(lock: str) -> None:
    assert set(_asked(lock)) <= {name for name, _, _ in _pins(lock)}


@pytest.mark.parametrize("lock", ["dev", "fast", "postgres"])
def test_lock_when_it_shares_a_package_with_base_then_has_the_same_versions(lock: str) -> None:
    base = {pin[:2] for pin in _pins("base")}
    names = {name for name, _ in base}

    assert {pin[:2] for pin in _pins(lock) if pin[0] in names} <= base


def test_locked_packages_when_installed_then_none_is_under_a_viral_licence() -> None:
    locked = {name for lock in LOCKS for name, _, _ in _pins(lock)}
    viral = []
    for found in importlib.metadata.distributions():
        words = [*found.metadata.get_all("Classifier", []), found.metadata.get("License-Expression", "")]
        words += (found.metadata.get("License") or "").splitlines()[:1]
        if _normal(found.name) in locked and re.search(r"(?<!L)\bA?GPL|\bGNU (Affero )?General Public", " ".join(words)):
            viral.append(found.name)

    assert viral == []


@pytest.mark.parametrize("script", [".ci/run", "requirements/install.sh", "docker/steps.sh"])
def test_script_when_checked_then_parses_and_may_be_run(script: str) -> None:
    checked = subprocess.run(["bash", "-n", script], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr
    assert os.access(ROOT / script, os.X_OK)


def test_install_when_no_python_fits_then_says_what_is_needed(tmp_path: Path) -> None:
    shim = tmp_path / "python3"
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)

    done = _install(tmp_path / "venv", "requirements/base.txt", python=str(shim))

    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("written", ["", " --hash=sha256:" + "0" * 64], ids=["none", "another"])
def test_k5_install_when_the_hash_is_not_the_locked_one_then_nothing_is_installed(tmp_path: Path, written: str) -> None:
    _environment(tmp_path / "venv")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"tiny @ {_wheel(tmp_path).as_uri()}{written}\n", encoding="utf-8")

    done = _install(tmp_path / "venv", str(lock))

    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert not list((tmp_path / "venv").glob("lib/*/site-packages/tiny*"))
    assert not (tmp_path / "venv" / ".installed").exists()


def test_k5_install_when_a_wheel_was_swapped_for_another_of_the_same_name_and_version_then_nothing_is_installed(tmp_path: Path) -> None:
    _environment(tmp_path / "venv")
    wheel = _wheel(tmp_path)
    lock = tmp_path / "lock.txt"
    lock.write_text(f"tiny==1.0 --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n", encoding="utf-8")
    with zipfile.ZipFile(wheel, "a") as swapped:
        swapped.writestr("evil.py", "import os\n")

    done = _install(tmp_path / "venv", str(lock), links=tmp_path)

    assert done.returncode != 0
    assert "do not match the hashes" in " ".join(done.stderr.split()).lower()
    assert not list((tmp_path / "venv").glob("lib/*/site-packages/tiny*"))
    assert not list((tmp_path / "venv").glob("lib/*/site-packages/evil*"))


def test_k5_install_when_a_requirement_of_a_locked_package_is_not_locked_itself_then_nothing_is_installed(tmp_path: Path) -> None:
    _environment(tmp_path / "venv")
    wheel = _wheel(tmp_path, needs="other")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"tiny==1.0 --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n", encoding="utf-8")

    done = _install(tmp_path / "venv", str(lock), links=tmp_path)

    assert done.returncode != 0
    assert not list((tmp_path / "venv").glob("lib/*/site-packages/tiny*"))


def test_install_when_the_lock_is_unchanged_then_a_second_run_does_nothing_and_a_changed_one_installs(tmp_path: Path) -> None:
    _environment(tmp_path / "venv")
    wheel = _wheel(tmp_path)
    lock = tmp_path / "lock.txt"
    lock.write_text(f"tiny @ {wheel.as_uri()} --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n", encoding="utf-8")

    first = _install(tmp_path / "venv", str(lock))
    second = _install(tmp_path / "venv", str(lock))
    lock.write_text(lock.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    third = _install(tmp_path / "venv", str(lock))

    assert [first.returncode, second.returncode, third.returncode] == [0, 0, 0], first.stderr + third.stderr
    assert list((tmp_path / "venv").glob("lib/*/site-packages/tiny.py"))
    assert ["installing" in one.stderr for one in (first, second, third)] == [True, False, True]


def _environment(folder: Path) -> None:
    """An environment that borrows the pip of this one: made in a tenth of a second instead of five."""
    venv.create(folder, with_pip=False, symlinks=True)
    site_packages = next(folder.glob("lib/*/site-packages"))
    (site_packages / "borrowed.pth").write_text(str(Path(pip.__file__).parents[1]) + "\n", encoding="utf-8")


def _wheel(folder: Path, *, needs: str = "") -> Path:
    """The smallest package there is, so that nothing is asked of an index."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    info, requires = "tiny-1.0.dist-info", f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n{requires}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def _install(
    environment: Path, lock: str, *, python: str = sys.executable, links: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["requirements/install.sh", str(environment), lock],
        cwd=ROOT,
        env={**os.environ, "PYTHON": python, "PIP_NO_INDEX": "1", **({"PIP_FIND_LINKS": str(links)} if links else {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_image_when_built_then_runs_only_the_steps_script_as_a_plain_user() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    runs = [line for line in lines if line.startswith("RUN ")]

    assert runs
    assert all(line.startswith("RUN docker/steps.sh ") for line in runs)
    assert "USER desk" in lines
    assert lines.index("USER desk") > max(index for index, line in enumerate(lines) if line.startswith("RUN "))
    assert any(line.startswith("VOLUME ") for line in lines)
    assert any("HEALTHCHECK" in line and '["python", "-m", "bot", "doctor"]' in line for line in lines)
    assert lines[-1] == 'ENTRYPOINT ["python", "-m", "bot"]'


def test_image_when_its_environment_is_made_then_it_is_from_the_same_lock_as_here() -> None:
    steps = (ROOT / "docker" / "steps.sh").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    install = (ROOT / "requirements" / "install.sh").read_text(encoding="utf-8")

    assert 'requirements/install.sh "$1/venv" requirements/base.txt' in steps
    assert "requirements/install.sh $(VENV) requirements/base.txt" in makefile
    assert "pip install" not in steps + makefile
    assert [line for line in install.splitlines() if "pip install" in line and "--require-hashes" not in line] == []


def test_image_when_its_files_are_copied_then_the_product_is_there_and_the_tests_are_not(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(sys.executable)

    subprocess.run(["docker/steps.sh", "application", str(tmp_path)], cwd=ROOT, stdin=subprocess.DEVNULL, check=True)

    assert {"bot", "core", "prompts"} <= {part.name for part in (tmp_path / "app").iterdir()}
    assert not (tmp_path / "app" / "tests").exists()


def test_tracked_files_when_searched_then_only_the_check_names_the_data_folder() -> None:
    needle = b"shared" + b"/data"

    naming = [path.relative_to(ROOT).as_posix() for path in _tracked() if needle in path.read_bytes()]

    assert naming in ([".ci/run"], [])
    assert needle in (ROOT / ".ci" / "run").read_bytes()


def test_tracked_files_when_searched_then_none_holds_a_path_of_somebodys_machine() -> None:
    machine_path = re.compile(rb"(?<![\w.])/(?:home|Users|root|work)/[\w.-]+")

    holding = {path.relative_to(ROOT).as_posix(): found[0] for path in _tracked() if (found := machine_path.search(path.read_bytes()))}

    assert holding == {}


def test_socket_when_opened_beyond_loopback_then_refused() -> None:
    with socket.socket() as one, pytest.raises(RuntimeError, match="beyond loopback"):
        one.connect(("192.0.2.1", 80))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, pytest.raises(RuntimeError, match="beyond loopback"):
        one.sendto(b"x", ("192.0.2.1", 53))
    with pytest.raises(RuntimeError, match="beyond this machine"):
        socket.getaddrinfo("example.org", 80)


def test_socket_when_opened_on_loopback_then_connects() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()

        client.connect(server.getsockname())

        assert client.getpeername() == server.getsockname()
