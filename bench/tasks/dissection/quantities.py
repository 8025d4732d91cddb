"""What the dissection task reports: names, units, directions. Areas are the judge's, in shares of the picture."""

from __future__ import annotations

from bench.tasks.numbers import Quantity

SEG = "segmentation"
# Share of the concept's area that the method's units remove, less the share that as many random units of the layer remove.
ABLATION = Quantity("ablation_effect", SEG, "of the concept's area", True, headline=True)
# Of the pixels whose class ablation changes, those that were the concept. Nothing changed: unreached.
SPECIFICITY = Quantity("specificity", SEG, "share of changed pixels", True, headline=True)
# Of the units that the method says match the concept, those whose IoU with it is the largest of all classes and above LEAST_IOU
# on test codes.
MATCHED = Quantity("matched_units", SEG, "share of the units named", True, headline=True)
# The two parts of the ablation effect: 1 - mean(after) / mean(before).
REMOVED = Quantity("area_removed", SEG, "of the concept's area", True)
REMOVED_RANDOM = Quantity("area_removed_random", SEG, "of the concept's area", None)
# Change of each other class's area by ablation, over its mean area.
OTHERS = Quantity("area_change", SEG, "of the class's area", None)
# Area added where the concept belongs, of pictures that lack it, over the mean area of pictures that have it.
INSERTION = Quantity("insertion_effect", SEG, "of the area in pictures that have it", True)
# Area added by insertion at one cell, in areas of that cell: where the concept belongs, at each class of place, and the
# difference of the first and the mean of the others.
AT_HOME = Quantity("inserted_where_it_belongs", SEG, "of the cell's area", None)
AT_PLACE = Quantity("inserted_at", SEG, "of the cell's area", None)
CONTEXT_GAP = Quantity("context_gap", SEG, "of the cell's area", True)
# Mean IoU, on test codes, of the units that the method names for the concept.
IOU = Quantity("unit_iou", SEG, "IoU", True)
# By layer: units that match some class on test codes, whatever a method says of them; and classes that some unit matches.
INTERPRETABLE = Quantity("interpretable_units", SEG, "units", None)
CLASSES = Quantity("distinct_classes", SEG, "classes", None)

QUANTITIES = (
    ABLATION, SPECIFICITY, MATCHED, REMOVED, REMOVED_RANDOM, OTHERS, INSERTION, AT_HOME, AT_PLACE, CONTEXT_GAP, IOU,
    INTERPRETABLE, CLASSES,
)  # fmt: skip
HEADLINES = (ABLATION, SPECIFICITY, MATCHED)


def metric_names() -> tuple[str, ...]:
    return tuple(one.name for one in QUANTITIES)
