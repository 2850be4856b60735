//! What the library says of its own work, for an app's log. No content, no key and no passphrase is ever said: what is secret
//! prints as `..`.

use std::fmt::Write;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

use crate::listener::ListenerError;

/// How much is said: a level, and what is more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Something has failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Connections, and what changes rarely.
    Info,
    /// Every request.
    Debug,
    /// Everything.
    Trace,
}

/// Takes what the library says. Called from any thread, also from two at once; it must not call the library.
#[uniffi::export(foreign)]
pub trait LogListener: Send + Sync {
    /// One line. `module` says which part of the library it is from.
    ///
    /// # Errors
    /// [`ListenerError`]; nobody hears of it.
    fn on_log(&self, level: LogLevel, module: String, line: String) -> Result<(), ListenerError>;
}

/// Says what the library does from now on, to one listener for the whole program; a second one takes the first one's place.
///
/// `false`: another library of this program has taken what is said before.
#[uniffi::export]
pub fn set_log(listener: Arc<dyn LogListener>, level: LogLevel) -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some((listener, level.into()));
    *INSTALLED.get_or_init(|| tracing_subscriber::registry().with(Forward).try_init().is_ok())
}

static CURRENT: RwLock<Option<(Arc<dyn LogListener>, Level)>> = RwLock::new(None);

/// What this project says; libraries below may say more than is good for a log.
const OWN: &str = "medipeps";

struct Forward;

impl Forward {
    fn listener(metadata: &Metadata<'_>) -> Option<Arc<dyn LogListener>> {
        let current = CURRENT.read().unwrap_or_else(PoisonError::into_inner);
        let (listener, level) = current.as_ref()?;
        (metadata.target().starts_with(OWN) && metadata.level() <= level).then(|| listener.clone())
    }
}

impl<S: Subscriber> Layer<S> for Forward {
    /// The level may change at any time.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        Self::listener(metadata).is_some()
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // Not under the lock: a listener may take its time.
        let Some(listener) = Self::listener(metadata) else { return };
        let mut line = Line::default();
        event.record(&mut line);
        let line = [line.message, line.fields].concat();
        // There is nobody to be told.
        drop(listener.on_log((*metadata.level()).into(), metadata.target().to_owned(), line));
    }
}

/// The message, then ` name=value` for each field.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // A String takes everything.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => Self::Trace,
        }
    }
}
