"""Getting the compiled pricing ready without anybody waiting for it.

Compiling takes half a minute of one core. It is done by a process of its own, which leaves its results in the desk's directory and can be
ended at any time; this process only loads them. Where numba is not installed, the directory cannot be written to, or anything fails, the
numpy code goes on: the same numbers, slower.
"""

from __future__ import annotations

import asyncio
import os
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from core import pricing
from core.errors import DeskError
from core.pricing import compiled
from core.runtime import Runtime
from core.store.files import make_private_directory

FOLDER = "compiled"
SWITCH = "DESK_COMPILED"  # "0" in the environment leaves pricing to numpy
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "OMP_WAIT_POLICY")
# It runs at every start: where everything is kept already it takes a second, and on another processor it compiles anew.
_COMPILE = "import os, sys; os.nice(10); from core.pricing import compiled; compiled.warm(sys.argv[1])"
# However the desk ends, its compiler ends with it: the other end of its standard input is the desk's alone.
_END_WITH_THE_DESK = "import os, sys, threading; threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()\n"


def wanted() -> bool:
    """Whether there is anything to load: numba is installed and the environment does not say no."""
    return os.environ.get(SWITCH) != "0" and find_spec("numba") is not None


async def warm_up(runtime: Runtime, home: Path) -> bool:
    """Have the compiled kernels made and loaded; whether they are in use now. Raises only what stops the task."""
    try:
        cache = cache_directory(home)
    except (DeskError, OSError) as error:
        runtime.report("compiled pricing has no place to be kept", error)
        return False
    code = await _compile(cache)
    if code != 0:
        runtime.report("compiled pricing", DeskError(f"its compiler ended with {code}; numpy goes on pricing"))
        return False
    return await runtime.in_thread(compiled.warm, str(cache))


def cache_directory(home: Path) -> Path:
    """The directory for this very text of the code and version of Python; those of other versions are removed."""
    sources = Path(pricing.__file__).parent
    text = b"".join((sources / name).read_bytes() for name in compiled.SOURCES)
    folder = home / FOLDER
    own = folder / sha256(text + sys.version.encode()).hexdigest()[:16]
    make_private_directory(own)
    for other in folder.iterdir():
        if other != own and other.is_dir():
            for file in other.rglob("*"):
                if file.is_file():
                    file.unlink(missing_ok=True)
    return own


async def _compile(cache: Path) -> int:
    """Run the compiler in a process of its own, ended with this task; its exit code. It knows nothing of this process's secrets."""
    known = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _END_WITH_THE_DESK + _COMPILE, str(cache), cwd=cache,
        env={**known, "PYTHONPATH": str(Path(pricing.__file__).parents[2])},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await process.wait()
    finally:
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            process.kill()
            await process.wait()
