"""What is finished: stage records, the run folder, and the lease that keeps two drivers apart."""

from colintern.records.record import (
    Inputs,
    Output,
    Record,
    check_drift,
    check_settings,
    describe,
    fingerprint,
    now,
    parsed_record,
    read_record,
    record_outputs,
    write_record,
)

__all__ = [
    "Inputs",
    "Output",
    "Record",
    "check_drift",
    "check_settings",
    "describe",
    "fingerprint",
    "now",
    "parsed_record",
    "read_record",
    "record_outputs",
    "write_record",
]
