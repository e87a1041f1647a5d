//! The only code that touches files, processes, units, users and sockets.
