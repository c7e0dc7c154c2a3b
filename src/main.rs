//! The program `systole`.

fn main() {}
