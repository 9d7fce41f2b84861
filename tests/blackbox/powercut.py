"""A disk that loses what was not synced: what survives a power cut is kept beside the home, and put in its place after a kill.

Needs a C compiler; see `powercut.c`. Of the writes since the last sync any part may have reached the disk, page by page and in no order.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.blackbox.machine import Home

SOURCE = Path(__file__).with_name("powercut.c")
PAGE_BYTES = 4096


@dataclass(slots=True)
class PowerCut:
    """A home on such a disk."""

    home: Home
    kept: Path

    @classmethod
    def under(cls, home: Home) -> PowerCut | None:
        """Put a home on such a disk, None where there is no compiler."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        library = home.path / "powercut.so"
        kept = home.path / "kept"
        kept.mkdir()
        if compiler is None:
            return None
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl", "-lpthread"], check=True)
        home.env |= {"LD_PRELOAD": str(library), "POWERCUT_OF": str(home.data), "POWERCUT_TO": str(kept)}
        return cls(home, kept)

    def cut(self, rng: random.Random) -> list[str]:
        """After the kill: leave on the disk what survives; returns which files lost something."""
        data, lost = self.home.data, []
        names = [line.split(" ", 1) for line in (self.kept / "names").read_text().splitlines()]
        there = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
        survived = {name: self._content(inode, there.get(name, b""), rng) for inode, name in names if not name.endswith("-shm")}
        for path in list(data.iterdir()):
            if path.is_file():
                path.unlink()
        for name, content in survived.items():
            (data / name).write_bytes(content)
            (data / name).chmod(0o600)
        lost = [name for name, content in there.items() if survived.get(name) != content and not name.endswith("-shm")]
        for path in self.kept.iterdir():  # the next life begins with what is on the disk now
            path.unlink()
        (self.kept / "names").write_text("".join(f"{(data / name).stat().st_ino} {name}\n" for name in survived))
        for name, content in survived.items():
            (self.kept / str((data / name).stat().st_ino)).write_bytes(content)
        return lost

    def _content(self, inode: str, current: bytes, rng: random.Random) -> bytes:
        """As of the last sync, with some of the pages written since."""
        path = self.kept / inode
        synced = path.read_bytes() if path.exists() else b""
        share = rng.choice((0.0, 0.0, 0.3, 0.7))
        content = bytearray(synced)
        for start in range(0, len(current), PAGE_BYTES):
            page = current[start : start + PAGE_BYTES]
            if content[start : start + PAGE_BYTES] != page and rng.random() < share:
                content.extend(bytes(max(0, start + len(page) - len(content))))
                content[start : start + len(page)] = page
        return bytes(content)
