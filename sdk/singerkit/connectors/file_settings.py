"""The settings that targets share which write files, said once."""

from __future__ import annotations

from singerkit import typing as th
from singerkit.files.compression import COMPRESSIONS

OVERWRITE = "overwrite"

PLACE = (
    "Where the files go: a folder, which is made if it is not there, or an object store, such as `s3://bucket/folder`, "
    "`gs://bucket/folder` or `az://container/folder`."
)

DESTINATION = th.Property(
    "destination_path", th.StringType, default="output", title="Place of the files", description=PLACE
)

STORAGE_OPTIONS = th.Property(
    "storage_options",
    th.ObjectType(additional_properties=True),
    secret=True,
    title="Options of the object store",
    description="Such as `endpoint`, `region`, `access_key_id` and `secret_access_key`. What is not given comes from "
    "the environment, as for other programs of the cloud.",
)

LOAD_METHOD = th.Property(
    "load_method",
    th.StringType,
    default="append-only",
    allowed_values=["append-only", OVERWRITE],
    title="Load method",
    description="`append-only` adds to what is there; `overwrite` puts new files in the place of a stream's older ones "
    "when the run has succeeded, for streams that are read in full every time.",
)

COMPRESSION = th.Property(
    "compression",
    th.StringType,
    default="none",
    allowed_values=list(COMPRESSIONS),
    title="Compression",
    description="How files are compressed; their names end with `.gz` or `.zst` then.",
)


def part_limits(a_file: str = "A file") -> list[th.Property]:
    """Give the settings that say when a file that can't grow later is complete; ``a_file`` says which files can't."""
    return [
        th.Property(
            "max_file_seconds",
            th.NumberType(exclusive_minimum=0),
            default=20,
            title="Age of a file",
            description=f"{a_file} is completed when its first record is so old, also while no input comes; then the "
            "states leave that cover it. More seconds make fewer and larger files, and more to repeat after a crash.",
        ),
        th.Property(
            "max_file_mb",
            th.IntegerType(minimum=1),
            default=512,
            title="Size of a file",
            description=f"{a_file} is completed when it has so many MiB, give or take what is written at once.",
        ),
    ]
