//! What redaction costs.

fn main() {
    divan::main();
}
