//! Log lines on stderr.
//! In: form and filter. Out: a subscriber for the whole process.
//! Must hold: data goes to stdout and logs never do; a second start-up in one process (a
//! test that runs two services) is harmless.
//! Must not: export traces; there is nothing to export to yet.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::Environment;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// A word that is no log format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a log format; use human or json")]
pub struct UnknownFormat(String);

impl FromStr for LogFormat {
    type Err = UnknownFormat;

    /// `text` is an older word for `human`.
    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        match word {
            "human" | "text" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

/// What is written, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The form of a line.
    pub format: LogFormat,
    /// Which lines, e.g. `info` or `info,worker_svc=debug`.
    pub filter: String,
    /// Whether levels are coloured; JSON never is.
    pub colour: bool,
}

impl Settings {
    /// Colour as the terminal and `NO_COLOR` say.
    #[must_use]
    pub fn new(format: LogFormat, filter: impl Into<String>, environment: &Environment) -> Self {
        let colour = colour(std::io::stderr().is_terminal(), environment);
        Self {
            format,
            filter: filter.into(),
            colour,
        }
    }
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{filter:?} is not a log filter: {source}")]
pub struct BadFilter {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Whether there was already a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// This call set it.
    Now,
    /// An earlier one did; its settings stay.
    Before,
}

/// Starts logging for this process.
///
/// # Errors
/// The filter cannot be read.
pub fn init(settings: &Settings) -> Result<Started, BadFilter> {
    let subscriber = subscriber(settings, std::io::stderr)?;
    // Fails only when there is one already.
    Ok(if subscriber.try_init().is_ok() {
        Started::Now
    } else {
        Started::Before
    })
}

/// Whether to colour: only for a person who did not ask for none.
#[must_use]
pub fn colour(is_terminal: bool, environment: &Environment) -> bool {
    is_terminal && environment.get("NO_COLOR").is_none_or(String::is_empty)
}

fn subscriber<W>(settings: &Settings, writer: W) -> Result<tracing::Dispatch, BadFilter>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&settings.filter).map_err(|source| BadFilter {
        filter: settings.filter.clone(),
        source,
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    Ok(match settings.format {
        LogFormat::Human => builder.with_ansi(settings.colour).finish().into(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .finish()
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(settings: &Settings, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let dispatch = subscriber(settings, move || writer.clone()).unwrap();
        tracing::dispatcher::with_default(&dispatch, log);
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    fn settings(format: LogFormat, filter: &str) -> Settings {
        Settings {
            format,
            filter: filter.into(),
            colour: false,
        }
    }

    #[test]
    fn a_json_line_carries_its_fields_at_the_top() {
        let line = written(&settings(LogFormat::Json, "info"), || {
            tracing::warn!(slot = "flusso", lag = 7, "slot lags behind its limit");
        });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["message"], "slot lags behind its limit");
        assert_eq!(
            (&value["slot"], &value["lag"]),
            (&"flusso".into(), &7.into())
        );
    }

    #[test]
    fn the_filter_decides_and_a_wrong_one_is_refused() {
        let lines = written(&settings(LogFormat::Human, "warn"), || {
            tracing::info!("quiet");
            tracing::warn!("loud");
        });
        assert!(
            lines.contains("loud") && !lines.contains("quiet"),
            "{lines}"
        );
        let error = subscriber(&settings(LogFormat::Human, "a=b=c"), std::io::stderr).unwrap_err();
        assert!(error.to_string().contains("a=b=c"), "{error}");
    }

    #[test]
    fn colour_is_for_terminals_without_no_color() {
        let none = Environment::new();
        let asked = Environment::from([("NO_COLOR".into(), "1".into())]);
        let empty = Environment::from([("NO_COLOR".into(), String::new())]);
        assert!(colour(true, &none) && colour(true, &empty));
        assert!(!colour(true, &asked) && !colour(false, &none));
        let plain = written(&settings(LogFormat::Human, "info"), || tracing::info!("x"));
        assert!(!plain.contains('\u{1b}'), "{plain}");
    }

    #[test]
    fn a_second_start_is_harmless() {
        init(&settings(LogFormat::Human, "info")).unwrap();
        assert_eq!(
            init(&settings(LogFormat::Json, "debug")).unwrap(),
            Started::Before
        );
    }

    #[test]
    fn text_is_an_older_word_for_human() {
        assert_eq!("text".parse(), Ok(LogFormat::Human));
        assert_eq!("json".parse(), Ok(LogFormat::Json));
        assert!("xml".parse::<LogFormat>().is_err());
    }
}
