"""Where the kernel's arrays lie: the scratch of one call at a time, and its addresses.

Kernels take addresses, not arrays: an array costs seven arguments and a reference count per call,
and a record has calls for each of its values.

`places` is, in every kernel, the address of a `PLACES`: the plan's numbers, and where each array
begins. The functions at the end read and write fields of records at an address: `event_bytes` and
its neighbours of `places`, `node_...`, `leaf_...`, `span_...`, `member_...`, `feature_...`,
`step_...` and `batch_...` of a record of that kind.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from strandline.features.plan import FEATURE, LEAF, MEMBER, NODE, OUTSIDE, SPAN, Plan
from strandline.features.tokens import DEPTH_MAX
from strandline.kernels.memory import PADDING, address_of, reader, writer
from strandline.spec.features import CROSS_PARTS_MAX

LANES: Final = 8
"""Float64 in the widest vector: as many are always written."""

STEPS_MAX: Final = 2048
STEP_SLOTS: Final = 4 * STEPS_MAX
STEP_CELLS: Final = 8
"""That are looked at for a text: whoever makes texts that collide gains nothing."""

STEP_TEXT_MAX: Final = 64
STEP: Final = np.dtype(
    [
        ("mask_low", np.uint64),  # which of the text's bytes are compared
        ("mask_high", np.uint64),
        ("following", np.int64),  # address of the step that came after it last, 0: none
        ("target", np.int32),  # a leaf, or one of `row_scan`'s names
        ("length", np.int32),  # of the text
        ("before", np.int32),  # the node in which the text begins
        ("after", np.int32),  # the node of the value after it
        ("common", np.int32),  # depth of the innermost node that the text neither opens nor closes
        ("opens", np.int32),  # whether the text opens a node
        ("text", f"V{STEP_TEXT_MAX}"),
    ]
)


PLACES: Final = np.dtype(
    [
        (name, np.int64)
        for name in (
            # of the plan: numbers
            "event_bytes", "depth", "entries", "binary", "label", "weight", "crosses",
            "member_mask",
            # addresses of its arrays
            "nodes", "nodes_end", "leaves", "leaves_end", "members", "member_slots", "key_bytes",
            "features", "features_end", "parts",
            # of the scratch
            "values", "logs", "steps", "step_slots", "step_count", "spans", "spans_end", "texts",
            "texts_used", "kinds", "keys", "joined", "chosen",
        )
    ]
)  # fmt: skip
BATCH: Final = np.dtype(
    [
        ("keys", np.int64),
        ("fields", np.int64),
        ("values", np.int64),
        ("labels", np.int64),
        ("weights", np.int64),
        ("room", np.int64),  # entries that keys, fields and values have room for
    ]
)


class Scratch:
    """A plan's arrays as one call at a time uses them; step 0 is the beginning of a record."""

    def __init__(self, plan: Plan) -> None:
        entries = plan.entries + 1
        steps = np.zeros(STEPS_MAX, STEP)
        steps["after"] = OUTSIDE
        arrays: dict[str, NDArray[Any]] = {
            "nodes": plan.nodes.copy(),
            "leaves": plan.leaves.copy(),
            "values": np.zeros(len(plan.leaves) + LANES),
            "logs": np.zeros(-(-plan.logs // LANES) * LANES),
            "members": plan.members,
            "member_slots": plan.member_slots,
            "key_bytes": plan.key_bytes,
            "features": plan.features.copy(),
            "parts": plan.parts,
            "steps": steps,
            "step_slots": np.zeros(STEP_SLOTS, np.int32),
            "step_count": np.ones(1, np.int64),
            "spans": np.zeros(entries, SPAN),
            "texts": np.empty(plan.event_bytes + PADDING, np.uint8),  # of strings with escapes
            "texts_used": np.zeros(1, np.int64),
            "kinds": np.zeros(DEPTH_MAX, np.uint8),
            "keys": np.zeros(entries, np.uint64),
            "joined": np.zeros(CROSS_PARTS_MAX, np.uint64),
            "chosen": np.zeros(CROSS_PARTS_MAX, np.int64),
        }
        self._arrays = arrays  # keeps them where they are
        address = {name: address_of(array) for name, array in arrays.items()}
        end = {
            f"{name}_end": address[name] + arrays[name].nbytes
            for name in ("nodes", "leaves", "features", "spans")
        }
        numbers = {
            "event_bytes": plan.event_bytes,
            "depth": plan.depth,
            "entries": plan.entries,
            "binary": plan.binary,
            "label": plan.label,
            "weight": plan.weight,
            "crosses": len(plan.parts),
            "member_mask": len(plan.member_slots) - 1,
        }
        values = numbers | address | end
        self._places = np.array([tuple(int(values[name]) for name in PLACES.names or ())], PLACES)
        self.address = address_of(self._places)

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers that a record holds at its leaves, where it holds numbers."""
        return self._arrays["values"]

    @property
    def logs(self) -> NDArray[np.float64]:
        """Of the first leaves: the logarithms of their numbers."""
        return self._arrays["logs"]


NODE_BYTES: Final = NODE.itemsize
LEAF_BYTES: Final = LEAF.itemsize
SPAN_BYTES: Final = SPAN.itemsize
MEMBER_BYTES: Final = MEMBER.itemsize
FEATURE_BYTES: Final = FEATURE.itemsize
STEP_BYTES: Final = STEP.itemsize
STEP_TEXT: Final = STEP.fields["text"][1] if STEP.fields else 0

read_int32, write_int32 = reader(np.int32), writer(np.int32)
read_int64, write_int64 = reader(np.int64), writer(np.int64)
read_key, write_key = reader(np.uint64), writer(np.uint64)
write_byte, write_field = writer(np.uint8), writer(np.uint16)
read_float64, write_float64 = reader(np.float64), writer(np.float64)
write_float32 = writer(np.float32)

node_parent, node_depth = reader(NODE, "parent"), reader(NODE, "depth")
node_seen, set_node_seen = reader(NODE, "seen"), writer(NODE, "seen")

leaf_role = reader(LEAF, "role")
leaf_holds, set_leaf_holds = reader(LEAF, "holds"), writer(LEAF, "holds")
leaf_count, set_leaf_count = reader(LEAF, "count"), writer(LEAF, "count")
leaf_usual, set_leaf_usual = reader(LEAF, "usual"), writer(LEAF, "usual")
leaf_first, set_leaf_first = reader(LEAF, "first"), writer(LEAF, "first")
leaf_length, set_leaf_length = reader(LEAF, "length"), writer(LEAF, "length")

span_first, set_span_first = reader(SPAN, "first"), writer(SPAN, "first")
span_length, set_span_length = reader(SPAN, "length"), writer(SPAN, "length")

member_node, member_length = reader(MEMBER, "node"), reader(MEMBER, "length")
member_leaf, member_child = reader(MEMBER, "leaf"), reader(MEMBER, "child")
member_first = reader(MEMBER, "first")

feature_kind, feature_transform = reader(FEATURE, "kind"), reader(FEATURE, "transform")
feature_required, feature_is_part = reader(FEATURE, "required"), reader(FEATURE, "is_part")
feature_leaf, feature_count = reader(FEATURE, "leaf"), reader(FEATURE, "count")
feature_first, set_feature_first = reader(FEATURE, "first"), writer(FEATURE, "first")
feature_seed = reader(FEATURE, "seed")
feature_offset, feature_scale = reader(FEATURE, "offset"), reader(FEATURE, "scale")
feature_low, feature_high = reader(FEATURE, "low"), reader(FEATURE, "high")

step_before, set_step_before = reader(STEP, "before"), writer(STEP, "before")
step_after, set_step_after = reader(STEP, "after"), writer(STEP, "after")
step_common, set_step_common = reader(STEP, "common"), writer(STEP, "common")
step_target, set_step_target = reader(STEP, "target"), writer(STEP, "target")
step_opens, set_step_opens = reader(STEP, "opens"), writer(STEP, "opens")
step_length, set_step_length = reader(STEP, "length"), writer(STEP, "length")
step_following, set_step_following = reader(STEP, "following"), writer(STEP, "following")
step_mask_low, set_step_mask_low = reader(STEP, "mask_low"), writer(STEP, "mask_low")
step_mask_high, set_step_mask_high = reader(STEP, "mask_high"), writer(STEP, "mask_high")

event_bytes = reader(PLACES, "event_bytes")
depth = reader(PLACES, "depth")
entries = reader(PLACES, "entries")
binary = reader(PLACES, "binary")
label = reader(PLACES, "label")
weight = reader(PLACES, "weight")
crosses = reader(PLACES, "crosses")
nodes = reader(PLACES, "nodes")
nodes_end = reader(PLACES, "nodes_end")
leaves = reader(PLACES, "leaves")
leaves_end = reader(PLACES, "leaves_end")
values = reader(PLACES, "values")
logs = reader(PLACES, "logs")
members = reader(PLACES, "members")
member_slots = reader(PLACES, "member_slots")
member_mask = reader(PLACES, "member_mask")
key_bytes = reader(PLACES, "key_bytes")
features = reader(PLACES, "features")
features_end = reader(PLACES, "features_end")
parts = reader(PLACES, "parts")
steps = reader(PLACES, "steps")
step_slots = reader(PLACES, "step_slots")
step_count = reader(PLACES, "step_count")
spans = reader(PLACES, "spans")
spans_end = reader(PLACES, "spans_end")
texts = reader(PLACES, "texts")
texts_used = reader(PLACES, "texts_used")
kinds = reader(PLACES, "kinds")
keys = reader(PLACES, "keys")
joined = reader(PLACES, "joined")
chosen = reader(PLACES, "chosen")

batch_keys = reader(BATCH, "keys")
batch_fields = reader(BATCH, "fields")
batch_values = reader(BATCH, "values")
batch_labels = reader(BATCH, "labels")
batch_weights = reader(BATCH, "weights")
batch_room = reader(BATCH, "room")
