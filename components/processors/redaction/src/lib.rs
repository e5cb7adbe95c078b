//! The `redaction` processor.
