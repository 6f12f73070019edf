"""Pictures of cells, drawn from their equations in the notation of the essay "Understanding LSTM Networks".

The way of a picture::

    equations ─graph→ signs ─wiring→ lines of states ─levels, arrange→ rows and columns ─route→ ways along a grid
              ─paper, curves, labels→ Scene ─svg, raster→ a file
"""

from typing import TYPE_CHECKING

from gatework.lazy import lazily

if TYPE_CHECKING:
    from gatework.diagram.chain import unrolled_scene as unrolled_scene
    from gatework.diagram.figures import gate_scene as gate_scene
    from gatework.diagram.figures import notation_scene as notation_scene
    from gatework.diagram.layout import cell_scene as cell_scene
    from gatework.diagram.picture import KINDS as KINDS
    from gatework.diagram.picture import Picture as Picture
    from gatework.diagram.picture import draw as draw
    from gatework.diagram.scene import Scene as Scene
    from gatework.diagram.scene import Shape as Shape
    from gatework.diagram.words import LANGUAGES as LANGUAGES

# Who only wants a scene, to draw it by other means, need not wait for what makes a PNG of it.
_PUBLIC = {
    "KINDS": "gatework.diagram.picture",
    "LANGUAGES": "gatework.diagram.words",
    "Picture": "gatework.diagram.picture",
    "Scene": "gatework.diagram.scene",
    "Shape": "gatework.diagram.scene",
    "cell_scene": "gatework.diagram.layout",
    "draw": "gatework.diagram.picture",
    "gate_scene": "gatework.diagram.figures",
    "notation_scene": "gatework.diagram.figures",
    "unrolled_scene": "gatework.diagram.chain",
}
__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazily(__name__, _PUBLIC)
