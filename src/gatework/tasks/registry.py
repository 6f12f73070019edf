"""The registry: every sequence task by name. A new task is one file and one line here."""

from gatework.errors import ConfigError
from gatework.registry import Registry
from gatework.tasks.generic.classify import classify
from gatework.tasks.generic.forecast import forecast
from gatework.tasks.generic.regress import regress
from gatework.tasks.generic.tag import tag
from gatework.tasks.recorded.agreement import agreement
from gatework.tasks.recorded.digit_strings import speech_digits
from gatework.tasks.recorded.digits import spoken_digits
from gatework.tasks.recorded.forecasting import airline, ett_h1
from gatework.tasks.recorded.heartbeats import heartbeats
from gatework.tasks.recorded.mnist import mnist, mnist_permuted, mnist_rows
from gatework.tasks.recorded.occupancy import occupancy, occupancy_no_light
from gatework.tasks.recorded.polyphony import jsb_chorales, nottingham
from gatework.tasks.recorded.speech import speech
from gatework.tasks.recorded.translation import translation
from gatework.tasks.recorded.vowels import japanese_vowels
from gatework.tasks.synthetic.adding import adding
from gatework.tasks.synthetic.adding_arjovsky import adding_arjovsky
from gatework.tasks.synthetic.arithmetic import arithmetic
from gatework.tasks.synthetic.copy_memory import copy
from gatework.tasks.synthetic.counting import anbn, anbncn
from gatework.tasks.synthetic.delayed_credit import delayed_credit
from gatework.tasks.synthetic.latch import latch
from gatework.tasks.synthetic.multiplication import multiplication
from gatework.tasks.synthetic.noise_lags import noise_free_lag, noisy_lag
from gatework.tasks.synthetic.parity import parity
from gatework.tasks.synthetic.periodic import periodic_cosine, periodic_rectangle, periodic_triangle
from gatework.tasks.synthetic.reber import continual_reber, embedded_reber, reber
from gatework.tasks.synthetic.sentences import clouds, native_language, pronoun_gender, verb_number
from gatework.tasks.synthetic.spike_delay import spike_delay
from gatework.tasks.synthetic.temporal_order import temporal_order_2, temporal_order_3
from gatework.tasks.synthetic.timed_spikes import timed_spikes
from gatework.tasks.synthetic.two_sequence import two_sequence, two_sequence_noise, two_sequence_targets
from gatework.tasks.synthetic.xml_tags import xml_tags

TASKS = Registry(
    # Remember one thing.
    latch,
    parity,
    # Hochreiter & Schmidhuber 1997, in their order.
    reber,
    embedded_reber,
    noise_free_lag,
    noisy_lag,
    two_sequence,
    two_sequence_noise,
    two_sequence_targets,
    adding,
    multiplication,
    temporal_order_2,
    temporal_order_3,
    # Streams, time and counting.
    continual_reber,
    spike_delay,
    timed_spikes,
    periodic_cosine,
    periodic_triangle,
    periodic_rectangle,
    anbn,
    anbncn,
    # Later tests of memory.
    copy,
    adding_arjovsky,
    arithmetic,
    xml_tags,
    delayed_credit,
    # Sentences with a gap.
    clouds,
    native_language,
    pronoun_gender,
    verb_number,
    # Recorded data.
    agreement,
    mnist,
    mnist_permuted,
    mnist_rows,
    jsb_chorales,
    nottingham,
    spoken_digits,
    speech,
    speech_digits,
    japanese_vowels,
    occupancy,
    occupancy_no_light,
    heartbeats,
    ett_h1,
    airline,
    translation,
    # The user's own data.
    classify,
    tag,
    regress,
    forecast,
    unknown="There is no task '{name}'.{hint} The tasks are: {names}.",
    hint=" Did you mean '{near}'?",
    error=ConfigError,
    kind="tasks",
)
