//! `run`: feeds the indexes until it is told to stop.

use runtime::cli::{Exit, complain, given, show_on_stderr, unsupported};
use runtime::configured::{Part, unresolved};
use runtime::shutdown::Shutdown;

use super::{Invocation, RunFlags, refused};
use crate::service::{self, RunError};

/// A second signal ends the process at once, with the code of a failure.
const SECOND_SIGNAL: i32 = 1;

pub(super) async fn run(invocation: &Invocation, flags: &RunFlags) -> Exit {
    let overrides = definition::Overrides {
        public_address: given(flags.public_address.as_deref()),
        private_address: given(flags.private_address.as_deref()),
        admin_user: given(flags.admin_user.as_deref()),
        admin_password: given(flags.admin_password.as_deref()),
        ..invocation.overrides()
    };
    let mut config = match invocation.config_with(&overrides) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    config.only = flags
        .only
        .iter()
        .filter(|name| !name.is_empty())
        .cloned()
        .collect();
    config.auto_apply = flags.auto_apply;
    if let Some(unknown) = config
        .only
        .iter()
        .find(|name| config.deployment.index(name).is_none())
    {
        complain(&std::io::Error::other(format!(
            "--only {unknown}: no such index in {}",
            invocation.common.config.display()
        )));
        return Exit::Usage;
    }
    let mut unusable = unsupported(&config.deployment);
    unusable.extend(unresolved(
        &config.deployment,
        Part::Worker,
        &config.environment,
    ));
    if unusable.has_errors() {
        show_on_stderr(&unusable, &config.environment);
        return Exit::Usage;
    }
    let shutdown = Shutdown::new();
    let _signals = match shutdown.on_signals(SECOND_SIGNAL) {
        Ok(signals) => signals,
        Err(error) => {
            complain(&error);
            return Exit::Failed;
        }
    };
    match service::run(config, shutdown, |_bound| {}).await {
        Ok(()) => Exit::Done,
        Err(RunError::Definite(error)) => refused(&error),
        Err(error) => {
            complain(&error);
            Exit::Failed
        }
    }
}
