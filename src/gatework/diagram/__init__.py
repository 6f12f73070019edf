"""Pictures of cells, drawn from their equations in the notation of the essay "Understanding LSTM Networks".

How a picture is made, subpackage by subpackage::

    equations ─planning→ signs, lines of states, columns and rows ─drawing→ Scene ─rendering→ a file

``planning`` decides what is drawn and in which order, ``drawing`` gives everything its place on paper, and
``rendering`` writes SVG and PNG. ``kinds`` has a module for each kind of picture, and ``picture`` is the entry point.
"""

from typing import TYPE_CHECKING

from gatework.lazy import lazily

if TYPE_CHECKING:
    from gatework.diagram.drawing.scene import Scene as Scene
    from gatework.diagram.drawing.scene import Shape as Shape
    from gatework.diagram.kinds.cell import cell_scene as cell_scene
    from gatework.diagram.kinds.chain import chain_scene as chain_scene
    from gatework.diagram.kinds.chain import loop_and_chain_scene as loop_and_chain_scene
    from gatework.diagram.kinds.chain import unrolled_scene as unrolled_scene
    from gatework.diagram.kinds.figures import gate_scene as gate_scene
    from gatework.diagram.kinds.figures import notation_scene as notation_scene
    from gatework.diagram.picture import KINDS as KINDS
    from gatework.diagram.picture import Picture as Picture
    from gatework.diagram.picture import draw as draw
    from gatework.translations import LANGUAGES as LANGUAGES

# Code that only needs a scene, to draw it by other means, need not wait for the imports that a PNG needs.
_PUBLIC = {
    "KINDS": "gatework.diagram.picture",
    "LANGUAGES": "gatework.translations",
    "Picture": "gatework.diagram.picture",
    "Scene": "gatework.diagram.drawing.scene",
    "Shape": "gatework.diagram.drawing.scene",
    "cell_scene": "gatework.diagram.kinds.cell",
    "chain_scene": "gatework.diagram.kinds.chain",
    "draw": "gatework.diagram.picture",
    "gate_scene": "gatework.diagram.kinds.figures",
    "loop_and_chain_scene": "gatework.diagram.kinds.chain",
    "notation_scene": "gatework.diagram.kinds.figures",
    "unrolled_scene": "gatework.diagram.kinds.chain",
}
__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazily(__name__, _PUBLIC)
