"""From the bytes of events to columns of hashed feature entries."""

from strandline.features.batch import BIAS_FIELD, Batch, selected_fields
from strandline.features.decoder import Decoder
from strandline.features.hashing import (
    BIAS_KEY,
    category_key,
    field_seed,
    slots,
)
from strandline.features.plain_decoder import PlainDecoder
from strandline.features.rejection import REASONS, Reason, Rejection

__all__ = [
    "BIAS_FIELD",
    "BIAS_KEY",
    "REASONS",
    "Batch",
    "Decoder",
    "PlainDecoder",
    "Reason",
    "Rejection",
    "category_key",
    "field_seed",
    "selected_fields",
    "slots",
]
