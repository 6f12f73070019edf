"""One piece of work in a process of its own: settings come in by stdin as JSON, what it found goes out by stdout.

echo '{"cell": "rnn", "seed": 0}' | python -m evidence.worker gradients
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from evidence.work.agreement import measure_agreement
from evidence.work.gradients import measure_gradients, measure_half_lives
from evidence.work.latches import measure_latch, measure_latch_far
from evidence.work.probes import measure_probes
from evidence.work.units import measure_units

Work = Callable[..., Mapping[str, Any]]

WORK: dict[str, Work] = {
    "agreement": measure_agreement,
    "gradients": measure_gradients,
    "half-lives": measure_half_lives,
    "latch": measure_latch,
    "latch-far": measure_latch_far,
    "probes": measure_probes,
    "units": measure_units,
}
"""Every kind of work by name."""


def main(words: list[str]) -> int:
    """Do one piece of work.

    Args:
        words: The kind of work.

    Returns:
        The exit code.
    """
    if len(words) != 1 or words[0] not in WORK:
        print(f"say which work: {', '.join(WORK)}", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    settings = json.load(sys.stdin)
    found = dict(WORK[words[0]](**settings))
    print(json.dumps(found | {"seconds": round(time.process_time(), 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
