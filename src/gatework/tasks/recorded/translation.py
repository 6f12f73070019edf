"""Translation: sentences and their translations, in files of lines."""

from gatework.tasks.asking import FROM_NOTES
from gatework.tasks.task import Gap, Pairs, Published, Success, Task

_SOURCE = "Elliott, Frank, Sima'an & Specia 2016, W16-3210, for the data; Bahdanau, Cho & Bengio 2015, arXiv:1409.0473"

translation = Task(
    name="translation",
    title="Translation of captions",
    asks="The model reads a sentence, the caption of a photograph in English. What is it in German?",
    source=_SOURCE,
    kind="words",
    gap=Gap(50, "words of the longest sentence to learn from"),
    success=Success(
        "bleu",
        at_least=31.0,
        words="sacreBLEU on the test sentences of 2016, with the tokens 13a and without capitals. Better results are "
        "listed; this level asks for a network that works, trained in half an hour, not for the best one.",
    ),
    examples=Pairs("multi30k_en_de", "en-de"),
    published=(
        Published(
            "GRU with attention, text only",
            "33.7 BLEU on test 2016, English to German",
            f"Calixto, Liu & Campbell 2017, ACL; {FROM_NOTES}",
        ),
        Published(
            "text-only baseline of the shared task",
            "19.3 BLEU on test 2017, English to German",
            f"Elliott, Frank, Barrault, Bougares & Specia 2017, W17-4718; {FROM_NOTES}",
        ),
    ),
    defaults={
        "hidden_size": 256,
        "embedding_size": 128,
        "batch_size": 64,
        "learning_rate": 2e-3,
        "steps": 9000,
        "dropout": 0.3,
        "lowercase": True,
    },
    notes="Licence: Multi30k is for research and education, not for commercial use, and its sentences derive from "
    "Flickr30K; do not publish or ship the data. Papers tokenise the text beforehand, and their BLEU is that of their "
    "own tokens. Other pairs of files are read with --pair source,target, or --data FOLDER and --languages en-de.",
)
