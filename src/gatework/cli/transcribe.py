"""``gatework transcribe``: what a run on speech hears in recordings."""

from pathlib import Path

from rich.markup import escape

from gatework.cli.output import Checkpoint, Json, Whole, checkpoint_step, err, out, print_json
from gatework.cli.searching import NO_FLAGS, SearchFlags
from gatework.errors import printable
from gatework.training import Search, load


def transcribe(
    run: str,
    file: Path,
    /,
    *files: Path,
    beams: Whole = 0,
    search: SearchFlags = NO_FLAGS,
    checkpoint: Checkpoint = "last",
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Write what is said in recordings: WAV, or FLAC and OGG with soundfile.

    Args:
        run: The directory of a run on speech.
        file: A recording. Another rate than that of the run is resampled, and several channels are mixed.
        files: More recordings.
        beams: The number of prefixes that are kept in a search; 0 for the most probable path, without an n-gram.
        search: What a search knows of the training transcripts.
        checkpoint: The weights to use: last, best (lowest held-out loss), or the step of a checkpoint.
        device: cpu, cuda, cuda:N, mps, or auto.
        json: Print JSON, for programs.
    """
    loaded = load(run, step=checkpoint_step(checkpoint), device=device)
    hearing = loaded.transcriber(search.chosen(beams) or Search(beams))
    several = [file, *files]
    told = []
    for one in several:
        found = hearing.transcribe(one)
        told.append(found.to_json())
        if found.changes:
            err().print(escape(printable(f"{one}: {', '.join(found.changes)}.")), soft_wrap=True)
        if not json:
            name = f"{one}: " if files else ""
            out().print(escape(printable(f"{name}{found.text}")), soft_wrap=True)
    if json:
        print_json({"run": run, "step": loaded.step, "transcripts": told})
