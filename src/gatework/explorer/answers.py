"""The explorer's answers: one method for each request. Any number of threads may call them at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from threading import Lock

import torch
from torch import Tensor

from gatework import __version__
from gatework.diagram import LANGUAGES, cell_scene, chain_scene, loop_and_chain_scene
from gatework.errors import CellError, ExplorerError
from gatework.explorer import analysis, messages
from gatework.explorer.belts import list_belts
from gatework.explorer.elsewhere import Reading, find_stretches, read_held_out
from gatework.explorer.gradients import measure_gradients
from gatework.explorer.marks import PRESETS, mark_pattern, mark_preset, mark_ranges
from gatework.explorer.models import Opened, OpenRun, Sample, display, open_runs, read_symbols, vocabulary_display
from gatework.explorer.quantities import LayerDirection, list_quantities
from gatework.explorer.rows import Deadline, check_interventions
from gatework.explorer.settings import Settings
from gatework.explorer.store import Store
from gatework.explorer.traces import TextTrace, key_of, read_text
from gatework.explorer.units import describe_units, find_opening, rank_followers
from gatework.tracing import Term, terms

_SHOWN_VOCABULARY = 512
_SHOWN_TOP = 2000  # longer texts get their predictions window by window
_MOST_NUMBERS = 2**24  # in one answer


@dataclass(frozen=True)
class Numbers:
    """An answer of many numbers.

    Args:
        values: The numbers, of any shape.
        names: The names of the rows, if they are different quantities.
        before: The value of each row after the line end before the text; None if it is not a number.
    """

    values: Tensor
    names: Sequence[str] = ()
    before: Sequence[float | None] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the numbers."""
        return tuple(self.values.shape)

    def content(self) -> bytes:
        """Return the numbers as little-endian float32, row after row."""
        return self.values.contiguous().float().numpy().astype("<f4", copy=False).tobytes()


def open_answers(paths: Sequence[str], demo: bool, settings: Settings) -> "Answers":
    """Open runs, and make the object that answers questions about them.

    Args:
        paths: Run directories.
        demo: Whether to open the demo's model too.
        settings: The limits.

    Returns:
        The answers.

    Raises:
        RunError: If one of the directories is not a run.
    """
    return Answers(open_runs(paths, demo=demo), settings)


class Answers:
    """The open runs, and everything that can be asked about them.

    Args:
        open_runs: The runs by id.
        settings: The limits.
    """

    def __init__(self, open_runs: dict[str, OpenRun], settings: Settings) -> None:
        self.runs = open_runs
        self.settings = settings
        self._traces = Store[TextTrace](settings.trace_bytes)
        self._readings = Store[Reading](settings.trace_bytes // 4)
        self._numbers = count(1)
        self._quantities: dict[str, dict[LayerDirection, list[messages.QuantityAnswer]]] = {}
        self._scenes: dict[str, dict[str, messages.SceneAnswer]] = {}
        self._lock = Lock()

    # --- overview

    def about(self) -> messages.AboutAnswer:
        """Return the open runs, and what may be asked."""
        return messages.AboutAnswer(
            version=__version__,
            runs=[self._about(run) for run in self.runs.values()],
            samples=[],
            presets=list(PRESETS),
            limits=messages.LimitsAnswer(text=self.settings.text, steps=self.settings.steps),
        )

    def _about(self, run: OpenRun) -> messages.RunAnswer:
        opened = run.open()
        layer = opened.model.recurrent
        quantities = self._quantities_of(run)
        samples = [self._about_sample(run, sample) for sample in run.samples]
        return messages.RunAnswer(
            id=run.id,
            title=run.origin.title,
            cell=layer.cell.name,
            cell_title=layer.cell.title,
            layers=layer.num_layers,
            directions=2 if layer.bidirectional else 1,
            hidden_sizes=[one.hidden_size for one in layer.layers],
            level=run.config.level,
            parameters=sum(parameter.numel() for parameter in opened.model.parameters()),
            vocabulary=vocabulary_display(run.vocabulary, _SHOWN_VOCABULARY),
            vocabulary_size=len(run.vocabulary),
            checkpoints=[messages.CheckpointAnswer(id=id, step=step) for id, step in run.checkpoints.items()],
            quantities=[quantities[number, 0] for number in range(layer.num_layers)],
            belts=[list_belts(one.step) for one in layer.layers],
            equations=str(layer.cell),
            latex=layer.cell.latex(),
            scene=self._scenes_of(run),
            samples=samples,
        )

    def _about_sample(self, run: OpenRun, sample: Sample) -> messages.SampleAnswer:
        shown = sample.text[: self.settings.text].encode("utf-8", errors="replace").decode("utf-8")
        steps = len(read_symbols(sample.text, run.vocabulary))
        return messages.SampleAnswer(id=sample.id, title=sample.title, titles=sample.titles, text=shown, steps=steps)

    def _scenes_of(self, run: OpenRun) -> dict[str, messages.SceneAnswer]:
        """Draw the cell, once in each language."""
        with self._lock:
            if run.id not in self._scenes:
                cell = run.open().model.recurrent.cell
                try:
                    scenes = {language: cell_scene(cell, language) for language in LANGUAGES}
                except CellError:
                    scenes = {}  # no picture can be drawn of these equations; everything else can still be shown
                self._scenes[run.id] = {
                    language: messages.SceneAnswer.model_validate(scene.to_dict()) for language, scene in scenes.items()
                }
            return self._scenes[run.id]

    def scene(self, asked: messages.Scene) -> messages.SceneAnswer:
        """Draw the chain of a run's cell.

        Raises:
            ExplorerError: If there is no such run, or no picture can be drawn of its equations.
        """
        run = self._run(asked.run)
        cell = run.open().model.recurrent.cell
        try:
            if asked.kind == "chain":
                scene = chain_scene(cell, language=asked.language, whole=True)
            else:
                scene = loop_and_chain_scene(cell, language=asked.language)
        except CellError as error:
            raise ExplorerError(f"No picture can be drawn of this cell: {error}", 404) from error
        return messages.SceneAnswer.model_validate(scene.to_dict())

    def _quantities_of(self, run: OpenRun) -> dict[LayerDirection, list[messages.QuantityAnswer]]:
        with self._lock:
            if run.id not in self._quantities:
                self._quantities[run.id] = list_quantities(run.open().model)
            return self._quantities[run.id]

    def _sizes_of(self, run: OpenRun, *, parts: bool = True) -> dict[LayerDirection, dict[str, int]]:
        return {
            place: {one.name: one.size for one in listed if parts or one.role != "part"}
            for place, listed in self._quantities_of(run).items()
        }

    def _run(self, id: str) -> OpenRun:
        if id not in self.runs:
            raise ExplorerError(f"There is no run '{id}'; expected one of {', '.join(self.runs)}.", 404)
        return self.runs[id]

    # --- reading a text

    def trace(self, request: messages.TraceRequest) -> messages.TraceAnswer:
        """Run a model over a text, and store what it computed.

        Raises:
            ExplorerError: If there is no such run or sample, or if the text is too long.
        """
        run = self._run(request.run)
        symbols = read_symbols(self._text(request), run.vocabulary)
        most = self.settings.text if request.sample is None else self.settings.steps
        if len(symbols) > most:
            raise ExplorerError(f"The text has {len(symbols):,} symbols; expected at most {most:,}.", 413)
        check_interventions(request.interventions, self._sizes_of(run, parts=False))
        traced = read_text(
            run.open(request.checkpoint),
            run.id,
            symbols,
            display(symbols, pieces=run.vocabulary.unit == "piece"),
            self._sizes_of(run),
            request.interventions,
            most_kept=self.settings.trace_bytes // 8,
            deadline=Deadline(self.settings.seconds),
        )
        id = f"t{next(self._numbers)}"
        self._traces.put(id, traced)
        return self._answer(id, traced)

    def _text(self, request: messages.TraceRequest) -> str:
        if request.text is not None:
            return request.text
        samples = {sample.id: sample for run in self.runs.values() for sample in run.samples}
        if request.sample not in samples:
            raise ExplorerError(f"There is no sample '{request.sample}'; expected one of {', '.join(samples)}.", 404)
        return samples[request.sample].text

    def _answer(self, id: str, traced: TextTrace) -> messages.TraceAnswer:
        loss = traced.predictions.loss
        mean = float(loss.double().mean())
        return messages.TraceAnswer(
            trace=id,
            steps=traced.steps,
            symbols=traced.symbols,
            unknown=traced.unknown,
            loss=[*map(_finite, loss[1:].tolist()), None],
            mean_loss=_finite(mean),
            before=messages.Before(loss=_finite(float(loss[0])), top=self._top(traced, -1, 0)[0]),
            top=self._top(traced, 0, traced.steps) if traced.steps <= _SHOWN_TOP else [],
        )

    def _find(self, id: str) -> TextTrace:
        traced = self._traces.get(id)
        if traced is None:
            raise ExplorerError(
                f"There is no trace '{id[:64]}' here, or not any more. Post its text to /api/traces again.", 404
            )
        return traced

    def top(self, id: str, window: messages.TopWindow) -> messages.TopAnswer:
        """Return the most likely next symbols at the positions of a window."""
        traced = self._find(id)
        start, stop = _within(traced, window.start, window.stop)
        if stop - start > _SHOWN_TOP:
            raise ExplorerError(f"That is {stop - start:,} positions; expected at most {_SHOWN_TOP:,}.", 413)
        return messages.TopAnswer(start=start, top=self._top(traced, start, stop))

    def _top(self, traced: TextTrace, start: int, stop: int) -> list[list[messages.Guess]]:
        shown = self._vocabulary(traced.opened)
        rows = slice(start + 1, stop + 1)
        numbers = traced.predictions.symbols[rows].tolist()
        probabilities = traced.predictions.probabilities[rows].nan_to_num().tolist()
        return [
            [messages.Guess(symbol=shown[n], probability=p) for n, p in zip(*row, strict=True)]
            for row in zip(numbers, probabilities, strict=True)
        ]

    def _vocabulary(self, opened: Opened) -> list[str]:
        return vocabulary_display(opened.vocabulary, len(opened.vocabulary))

    # --- computed values

    def values(self, id: str, window: messages.Window) -> Numbers:
        """Return a quantity over a window, [positions, H]."""
        traced, place = self._find(id), _place(window)
        start, stop = _within(traced, window.start, window.stop)
        _fits((stop - start) * traced.size(place, window.name))
        return Numbers(traced.window(place, window.name, start, stop, self._deadline()))

    def overview(self, id: str, overview: messages.Overview) -> Numbers:
        """Return the least and greatest values of a quantity over equal stretches, [buckets, 2, H].

        Position p of T is in bucket ``p * buckets // T``. There are at most as many buckets as positions.
        """
        traced, place, name = self._find(id), _place(overview), overview.name
        buckets = min(overview.buckets, traced.steps)
        size = traced.size(place, name)
        _fits(2 * buckets * size)
        whole = torch.stack([torch.full((buckets, size), math.inf), torch.full((buckets, size), -math.inf)], 1)
        for start, piece in traced.pieces(place, (name,), 0, traced.steps, self._deadline()):
            places = torch.arange(start, start + len(piece[name])) * buckets // traced.steps
            part = analysis.extremes(piece[name], places, buckets)
            whole[:, 0] = torch.minimum(whole[:, 0], part[:, 0])
            whole[:, 1] = torch.maximum(whole[:, 1], part[:, 1])
        return Numbers(whole)

    def unit(self, id: str, window: messages.UnitWindow) -> Numbers:
        """Return all quantities of one unit over a window, [names, positions], with their values before the text."""
        traced, place = self._find(id), _place(window)
        start, stop = _within(traced, window.start, window.stop)
        names = [name for name, size in traced.sizes(place).items() if window.unit < size]
        if not names:
            raise ExplorerError(f"Layer {window.layer} has no unit {window.unit}.", 404)
        deadline = self._deadline()
        pieces = [
            torch.stack([piece[name][:, window.unit] for name in names])
            for _, piece in traced.pieces(place, names, start - 1, stop, deadline)
        ]
        values = torch.cat(pieces, 1)
        return Numbers(values[:, 1:], names, [_finite(one) for one in values[:, 0].tolist()])

    def _deadline(self) -> Deadline:
        return Deadline(self.settings.seconds)

    def terms(self, id: str, asked: messages.Term) -> messages.TermAnswer:
        """Return the equation of a quantity with the values of one unit in it."""
        traced, place = self._find(id), _place(asked)
        if asked.unit >= traced.size(place, asked.name):
            raise ExplorerError(f"'{asked.name}' of layer {asked.layer} has no unit {asked.unit}.", 404)
        if asked.step >= traced.steps:
            raise ExplorerError(f"There is no position {asked.step}; expected 0 to {traced.steps - 1}.", 404)
        recorded, row = traced.around(asked.step + 1)
        return _term(terms(traced.opened.model, recorded, key_of(place, asked.name), row, 0, asked.unit))

    # --- figures

    def units(self, id: str, quantity: messages.Quantity) -> messages.UnitsAnswer:
        """Return figures for every unit."""
        traced, place = self._find(id), _place(quantity)
        traced.size(place, quantity.name)
        described = self._quantities_of(self._run(traced.run))[place]
        one = next(one for one in described if one.name == quantity.name)
        return describe_units(traced, place, one, self._deadline())

    def gradients(self, id: str, asked: messages.At) -> messages.GradientsAnswer:
        """Return how much each earlier position matters to the prediction at one."""
        return measure_gradients(self._find(id), asked.at)

    def find(self, id: str, request: messages.FindRequest) -> messages.FindAnswer:
        """Mark positions, and rank the units that follow the marks."""
        traced = self._find(id)
        names = tuple(dict.fromkeys(request.names))
        marks, chosen = self._marks(traced, request), request.preset is None
        return rank_followers(traced, _place(request), names, marks, self._deadline(), chosen=chosen)

    def opening(self, id: str) -> messages.OpeningAnswer:
        """Find the unit to begin with."""
        traced = self._find(id)
        names = {
            place[0]: [one.name for one in listed if one.role == "state"]
            for place, listed in self._quantities_of(self._run(traced.run)).items()
            if place[1] == 0
        }
        return messages.OpeningAnswer(best=find_opening(traced, names, _gap(traced), self._deadline()))

    def _marks(self, traced: TextTrace, request: messages.FindRequest) -> list[bool]:
        gap = _gap(traced)
        if request.pattern is not None:
            return mark_pattern(traced.symbols, request.pattern, gap=gap)
        if request.preset is not None:
            return mark_preset(traced.symbols, request.preset, gap=gap)
        return mark_ranges(traced.steps, request.ranges or ())

    def elsewhere(self, request: messages.ElsewhereRequest) -> messages.ElsewhereAnswer:
        """Find the highest and lowest values of a unit in held-out text."""
        run, place = self._run(request.run), _place(request)
        sizes = self._sizes_of(run)
        size = sizes.get(place, {}).get(request.name, 0)
        if request.unit >= size:
            raise ExplorerError(f"Layer {request.layer} has no unit {request.unit} of '{request.name}'.", 404)
        key = f"{run.id} {request.checkpoint} {place} {request.name}"
        reading = self._readings.get(key)
        if reading is None:
            opened = run.open(request.checkpoint)
            reading = read_held_out(opened, run.held_out, place, request.name, sizes, self._deadline())
            self._readings.put(key, reading)
        return messages.ElsewhereAnswer(
            high=find_stretches(reading, request.unit, request.count, highest=True),
            low=find_stretches(reading, request.unit, request.count, highest=False),
            searched=len(reading.symbols),
        )


def _place(where: messages.Where) -> LayerDirection:
    return where.layer, where.direction


def _gap(traced: TextTrace) -> str | None:
    """Return what stands between two symbols of a text; None if symbols are characters."""
    return {"word": " ", "piece": ""}.get(traced.opened.vocabulary.unit)


def _within(traced: TextTrace, start: int, stop: int | None) -> tuple[int, int]:
    """Check a window against the text."""
    end = traced.steps if stop is None else stop
    if not 0 <= start < end <= traced.steps:
        raise ExplorerError(
            f"From {start} to {end} is no window of this text; expected from below to, and to at most {traced.steps}."
        )
    return start, end


def _fits(numbers: int) -> None:
    if numbers > _MOST_NUMBERS:
        raise ExplorerError(f"That is {numbers:,} numbers; expected at most {_MOST_NUMBERS:,}. Ask for less.", 413)


def _term(term: Term) -> messages.TermAnswer:
    return messages.TermAnswer(text=term.text, value=_finite(term.value), parts=[_term(part) for part in term.parts])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
