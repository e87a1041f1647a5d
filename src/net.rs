//! The only HTTP of the program.
