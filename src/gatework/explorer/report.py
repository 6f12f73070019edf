"""One file that shows how a model read a text: the explorer's page with its answers inside, without a server.

The page looks for an element ``<script type="application/octet-stream" id="recorded">``. It holds a packed object that
maps requests, such as ``"GET /api/about"``, to answers; :mod:`gatework.explorer.packing` says how.
Anything that a recording lacks needs a live server, and the page says so.
"""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from gatework.errors import ExplorerError
from gatework.explorer.answers import Answers, Numbers
from gatework.explorer.messages import (
    At,
    FindRequest,
    OpeningAnswer,
    Quantity,
    RunAnswer,
    SampleAnswer,
    Scene,
    Term,
    TermAnswer,
    TraceAnswer,
    TraceRequest,
    UnitWindow,
    Window,
)
from gatework.explorer.models import read_symbols, titled
from gatework.explorer.packing import pack
from gatework.explorer.settings import NOTICES
from gatework.translations import LANGUAGES

MOST_STEPS = 2000
# The most gradients, and the most terms of equations, that are worth their size in the file.
_MOST_GRADIENTS = 300_000
_MOST_TERMS = 2000
_SHOWN_PART = 1e-6
_SCRIPT = re.compile(r'<script\b[^>]*\bsrc="([^"]+)"[^>]*></script>')
_STYLE = re.compile(r'<link\b[^>]*\brel="stylesheet"[^>]*>')
_REFERENCE = re.compile(r'\b(?:src|href)="(?!data:|#)([^"]*)"')
_ADDRESS = re.compile(r"""url\(\s*['"]?(?!data:|#)([^'")\s]+)|@import""")


def write_report(answers: Answers, request: TraceRequest, page: Path) -> str:
    """Record a text, and write it into the page.

    Args:
        answers: The opened run that reads the text.
        request: The text.
        page: The folder of the built page.

    Returns:
        The file, as HTML.

    Raises:
        ExplorerError: If the text is too long, or if the page is not built as the report needs it.
    """
    return inline(page, record(answers, request))


def record(answers: Answers, request: TraceRequest) -> dict[str, Any]:
    """Record the answers to everything that the page asks about one text.

    Args:
        answers: The opened run that reads the text.
        request: The text.

    Returns:
        The answers by request.

    Raises:
        ExplorerError: If there is no such sample, or if the text is too long.
    """
    _check_text(answers, request)
    traced = answers.trace(request)
    about = answers.about()
    run = next(run for run in about.runs if run.id == request.run)
    chosen = [checkpoint for checkpoint in run.checkpoints if checkpoint.id == request.checkpoint]
    titles = titled("recorded")
    text = SampleAnswer(
        id="recorded", title=titles["en"], titles=titles, text="".join(traced.symbols), steps=traced.steps
    )
    recorded: dict[str, Any] = {
        "GET /api/about": _plain(
            about.model_copy(
                update={"runs": [run.model_copy(update={"checkpoints": chosen, "samples": []})], "samples": [text]}
            )
        ),
        "POST /api/traces": _plain(traced),
    }
    opening = answers.opening(traced.trace)
    recorded[f"GET /api/traces/{traced.trace}/opening"] = _plain(opening)
    _record_scenes(answers, run, recorded)
    _record_quantities(answers, run, traced, recorded)
    _record_finds(answers, run, traced, recorded)
    _record_gradients(answers, traced, recorded)
    _record_terms(answers, run, traced, opening, recorded)
    return recorded


def _check_text(answers: Answers, request: TraceRequest) -> None:
    """Refuse a text before it is read, with a message about reports: a report holds less text than a server."""
    run = answers.runs[request.run]
    text = request.text
    if text is None:
        # People call a sample s1, without its run, because there is only one run.
        samples = {sample.id.removeprefix(f"{run.id}-"): sample.text for sample in run.samples}
        wanted = (request.sample or "").removeprefix(f"{run.id}-")
        if wanted not in samples:
            known = f"Expected one of {', '.join(samples)}." if samples else "This run has none. Give a text."
            raise ExplorerError(f"There is no sample '{wanted}'. {known}", 404)
        text = samples[wanted]
    steps = len(read_symbols(text, run.vocabulary))
    if steps > MOST_STEPS:
        raise ExplorerError(
            f"The text has {steps:,} symbols: a report holds at most {MOST_STEPS:,}. Give a shorter one.", 413
        )


def _record_scenes(answers: Answers, run: RunAnswer, recorded: dict[str, Any]) -> None:
    """Record the pictures of the chain in every language; none if the cell has no picture."""
    for kind in ("chain", "unrolled") if run.scene else ():
        for language in LANGUAGES:
            scene = answers.scene(Scene.model_validate({"run": run.id, "kind": kind, "language": language}))
            recorded[f"GET /api/scene?run={run.id}&kind={kind}&language={language}"] = _plain(scene)


def _record_finds(answers: Answers, run: RunAnswer, traced: TraceAnswer, recorded: dict[str, Any]) -> None:
    """Record which units follow each preset, in each layer and direction."""
    for layer, quantities in enumerate(run.quantities):
        names = [one.name for one in quantities if one.role == "state"]
        for direction in range(run.directions):
            for preset in answers.about().presets:
                asked = FindRequest(layer=layer, direction=direction, names=names, preset=preset)
                where = f"layer={layer}&direction={direction}&preset={preset}"
                recorded[f"POST /api/traces/{traced.trace}/find?{where}"] = _plain(answers.find(traced.trace, asked))


def _record_quantities(answers: Answers, run: RunAnswer, traced: TraceAnswer, recorded: dict[str, Any]) -> None:
    """Record all quantities of all units, and the figures about units."""
    path = f"GET /api/traces/{traced.trace}"
    for layer, quantities in enumerate(run.quantities):
        for direction in range(run.directions):
            before = _before(answers, traced, layer, direction, max(one.size for one in quantities))
            for one in quantities:
                where = f"layer={layer}&direction={direction}&name={quote(one.name, safe=_UNESCAPED)}"
                window = Window(layer=layer, direction=direction, name=one.name, start=0, stop=traced.steps)
                key = f"{path}/values?{where}&from=0&to={traced.steps}"
                recorded[key] = {**_plain(answers.values(traced.trace, window)), "before": before[one.name]}
                quantity = Quantity(layer=layer, direction=direction, name=one.name)
                recorded[f"{path}/units?{where}"] = _plain(answers.units(traced.trace, quantity))


def _before(
    answers: Answers, traced: TraceAnswer, layer: int, direction: int, units: int
) -> dict[str, list[float | None]]:
    """Return the values of each quantity before the first symbol, for every unit, by name."""
    values_before: dict[str, list[float | None]] = {}
    for unit in range(units):
        one = answers.unit(traced.trace, UnitWindow(layer=layer, direction=direction, unit=unit, start=0, stop=1))
        for name, value in zip(one.names, one.before, strict=True):
            values_before.setdefault(name, []).append(value)
    return values_before


def _record_gradients(answers: Answers, traced: TraceAnswer, recorded: dict[str, Any]) -> None:
    """Record the gradients of the prediction at each position, or at some positions of a long text."""
    every = max(1, -(-traced.steps * traced.steps // _MOST_GRADIENTS))
    for at in range(0, traced.steps - 1, every):
        answer = answers.gradients(traced.trace, At(at=at))
        # The page draws the layer that is looked at, so what all layers come to together is left out.
        answer = answer.model_copy(update={"along": {}, "layers": [_heights(layer) for layer in answer.layers]})
        recorded[f"GET /api/traces/{traced.trace}/gradients?at={at}"] = _plain(answer)


def _record_terms(
    answers: Answers, run: RunAnswer, traced: TraceAnswer, opening: OpeningAnswer, recorded: dict[str, Any]
) -> None:
    """Record the equations with the values of the unit with which the page begins."""
    layer, unit = (opening.best.layer, opening.best.unit) if opening.best else (0, 0)
    names = [one.name for one in run.quantities[layer] if one.role != "part" and unit < one.size]
    for step in range(min(traced.steps, _MOST_TERMS // len(names))):
        for name in names:
            where = f"layer={layer}&direction=0&unit={unit}&step={step}&name={quote(name, safe=_UNESCAPED)}"
            asked = Term(layer=layer, direction=0, unit=unit, step=step, name=name)
            term: TermAnswer = answers.terms(traced.trace, asked)
            recorded[f"GET /api/traces/{traced.trace}/terms?{where}"] = _plain(term)


# encodeURIComponent, with which the page writes names, keeps these characters besides letters and digits.
_UNESCAPED = "-_.!~*'()"


def _plain(answer: BaseModel | Numbers) -> Any:
    """Return an answer in a form that JSON can hold."""
    if isinstance(answer, BaseModel):
        return json.loads(answer.model_dump_json(by_alias=True, exclude_unset=True))
    return {
        "shape": list(answer.shape),
        "base64": b64encode(answer.content()).decode("ascii"),
        **({"names": list(answer.names), "before": list(answer.before)} if answer.names else {}),
    }


def _heights(layer: dict[str, list[float]]) -> dict[str, list[float]]:
    """Round norms that are drawn as heights to three digits, and to 0 below what a picture can show."""
    least = _SHOWN_PART * max((norm for norms in layer.values() for norm in norms), default=0.0)
    return {name: [float(f"{norm:.3g}") if norm > least else 0.0 for norm in norms] for name, norms in layer.items()}


def inline(page: Path, recorded: dict[str, Any]) -> str:
    """Put the page's style, script and answers into one file, which may run that script and load nothing.

    Args:
        page: The folder of the built page.
        recorded: The answers by request.

    Returns:
        The file, as HTML.

    Raises:
        ExplorerError: If the page is not built, or refers to more than one script or style sheet.
    """
    if not (page / "index.html").is_file():
        raise ExplorerError("The explorer's page is not built: in a checkout of gatework, run make page.")
    html = (page / "index.html").read_text(encoding="utf-8")
    scripts = [_asset(page, match[1]) for match in _SCRIPT.finditer(html)]
    styles = [_asset(page, match[1]) for match in re.finditer(r'\bhref="([^"]+)"', "".join(_STYLE.findall(html)))]
    if len(scripts) != 1 or re.search(r"\bimport\(|\bfrom\s*\"\./", scripts[0]):
        raise ExplorerError("The page is not built as one script, so that it cannot be put into one file.")
    if outside := [match[0] for style in styles for match in _ADDRESS.finditer(style)]:
        raise ExplorerError(f"The page's style refers to another file ({outside[0]}), which a report cannot load.")
    # The script must not contain its own end tag.
    script = scripts[0].replace("</script", "<\\/script").replace("<!--", "<\\!--")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {' '.join(map(_hash, styles)) or _NONE}; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
    )
    html = _STYLE.sub("", _SCRIPT.sub("", html))
    if match := _REFERENCE.search(html):
        raise ExplorerError(f"The page refers to '{match[1]}', which a report cannot load.")
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">' + "".join(
        f"<style>{style}</style>" for style in styles
    )
    # A script of type "module" runs after the whole page is parsed.
    body = f'<script type="application/octet-stream" id="recorded">{pack(recorded)}</script>'
    body += f'<script type="module">{script}</script>'
    # The script contains code of others. Their licences must go with it.
    body += f'<pre id="notices" hidden>{escape(_asset(page, NOTICES))}</pre>'
    for tag, put in (("<head>", f"<head>\n{head}"), ("</body>", f"{body}\n</body>")):
        before, separator, behind = html.partition(tag)
        if not separator:
            raise ExplorerError(f"The page has no {tag}, so that it cannot be put into one file.")
        html = f"{before}{put}{behind}"
    return html


_NONE = "'none'"


def _asset(page: Path, reference: str) -> str:
    known = {path.name: path for path in (page / "assets").iterdir()}
    name = reference.rsplit("/", 1)[-1]
    if name not in known:
        raise ExplorerError(f"The page refers to '{reference}', which is not there. Build it again with make page.")
    return known[name].read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
