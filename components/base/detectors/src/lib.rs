//! Finds personal data and secrets in text, and checks what it finds.
