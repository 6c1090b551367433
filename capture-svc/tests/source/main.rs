//! The Postgres half of capture against a real server.
//! Reads `STACK_POSTGRES_URL`, which `deploy/up` writes to `.stack/env`: a
//! superuser without a password. Each test has a database of its own.

#[cfg(test)]
mod support;

#[cfg(test)]
mod catalog;
#[cfg(test)]
mod own;
#[cfg(test)]
mod preflight;
#[cfg(test)]
mod replication;
#[cfg(test)]
mod stream;
