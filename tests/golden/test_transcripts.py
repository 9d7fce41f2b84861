"""Every golden transcript plays exactly as written. GOLDEN_WRITE=1 writes what is played now, for a person to read."""

import os
from pathlib import Path

import pytest

from tests.golden.on_the_page import PageTheatre
from tests.golden.theatre import perform

HERE = Path(__file__).parent
TRANSCRIPTS = sorted(HERE.glob("*.md"))
UNRECORDED = [path for path in TRANSCRIPTS if "market: recorded" not in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript_when_played_then_reads_as_written(path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = os.environ.get("DESK_REAL_DATA")
    if "market: recorded" in path.read_text(encoding="utf-8") and not data:
        pytest.skip("DESK_REAL_DATA is not set")
    cache = Path(os.environ.get("GOLDEN_CACHE") or tmp_path_factory.getbasetemp() / "recorded")
    written, played = perform(path, data_dir=Path(data) if data else None, cache_dir=cache)
    if os.environ.get("GOLDEN_WRITE"):
        path.write_text(played, encoding="utf-8")
    else:
        assert played == written


@pytest.mark.parametrize("path", UNRECORDED, ids=lambda path: path.stem)
def test_transcript_when_played_on_the_page_then_reads_the_same_and_makes_the_same_events(path: Path, tmp_path: Path) -> None:
    written, played = perform(path, data_dir=None, cache_dir=tmp_path, house=PageTheatre)
    assert played == written
