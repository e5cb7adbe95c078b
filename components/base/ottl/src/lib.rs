//! The OpenTelemetry Transformation Language (OTTL): parse, resolve against a context, compile once, run.
