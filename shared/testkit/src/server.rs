//! Where the real servers of a run are.
//! In: the variables that `deploy/up` writes. Out: addresses.

/// The address in the variable `name`, e.g. `STACK_POSTGRES_URL`.
///
/// # Panics
/// It is not set: a test that needs a server must not pass without one.
#[must_use]
pub fn server(name: &str) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no main that could pass it in"
    )]
    let address = std::env::var(name);
    #[expect(clippy::panic, reason = "only tests call it")]
    address.unwrap_or_else(|_| panic!("{name} is not set: run deploy/up and source .stack/env"))
}
